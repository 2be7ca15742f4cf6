"""`harness probe`: what losses react to, without training."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def probe(
    losses: Annotated[
        list[str],
        typer.Argument(
            metavar="LOSS...",
            help="Losses or weighted sums; all for every one there is.",
            autocompletion=shared.complete_loss,
        ),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Dataset; photos at size 64.",
            show_default=False,
            autocompletion=shared.complete_dataset,
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Image size of the dataset.")] = None,
    images: Annotated[int, typer.Option(help="Images to spoil.")] = 16,
    plugin: shared.Plugins = None,
    results: shared.Results = Path("results"),
    out: Annotated[Path, typer.Option(help="Folder of the figure.")] = Path("reports/_probe"),
    json: shared.Json = False,
) -> None:
    """Show what losses react to, without training: images spoilt in ten ways to equal MSE.

    Losses are asked as at the end of training, randomness off; what would learn beside a model is
    as first drawn, and latents are noise.
    """
    from harness import plugins
    from harness.probe import bench, probing, words

    plugins.load_all(plugin)
    chosen = probing.read_losses(losses)
    component = bench.read_dataset(dataset, size)
    with output.console(stderr=True).status(f"spoiling images of {component.spec}") as line:
        spoilt = bench.set_up(component, images)
        found = probing.probe(chosen, spoilt, line.update)
    files = probing.keep(found, results / "_probe", out)
    if json:
        output.show_json(words.plain(found.frame) | {"files": [str(path) for path in files]})
    else:
        from harness.terminal import probed

        probed.show(output.console(), found.frame)
        for path in (files[0], files[-1].with_suffix(".{pdf,svg,png,csv}")):
            typer.echo(str(path))
    raise typer.Exit(1 if (found.frame["status"] == "failed").any() else 0)
