"""`harness check`: does a loss keep its contract?"""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as shared
from harness.cli import output


def check(
    loss: Annotated[
        str,
        typer.Argument(
            help="A Python file with losses, or a loss such as ssim or ffl[alpha=0.5].",
            autocompletion=shared.complete_loss,
        ),
    ],
    size: Annotated[int, typer.Option(help="Side of the images.")] = 32,
    channels: Annotated[int, typer.Option(help="Channels of the images.")] = 3,
    latent: Annotated[int, typer.Option(help="Latent size.")] = 16,
    images: Annotated[
        Path | None,
        typer.Option(help="A .npy file of images (N, C, H, W) in [0, 1], in place of noise."),
    ] = None,
    plugin: shared.Plugins = None,
    json: shared.Json = False,
) -> None:
    """Check that a loss keeps its contract: shapes, gradients, randomness, state and more.

    Exit code 2 where it does not.
    """
    from harness import checking

    found = checking.check(
        loss, size=size, channels=channels, latent=latent, images=images, files=plugin
    )
    if json:
        output.show_json([verdict.plain() for verdict in found])
    else:
        from harness.terminal.verdict import verdict as show

        for each in found:
            show(output.console(), each)
    raise typer.Exit(0 if all(verdict.conforms for verdict in found) else 2)
