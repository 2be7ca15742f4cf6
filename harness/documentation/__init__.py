"""The pages of `docs/`: what the code knows is written by `python -m harness.documentation docs`.

Pages of losses and of the command line are generated as a whole; in the others the regions between
`<!-- generated: NAME -->` and `<!-- end: NAME -->` are, and what stands around them is written by
hand.
"""

import re
from pathlib import Path

from harness.documentation import commands, loss_pages
from harness.documentation.regions import REGIONS
from harness.errors import HarnessError, suggestion
from harness.files import write_atomically

_REGION = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)


def pages(folder: Path) -> dict[str, str]:
    """Return what every page should be, by its place in `folder`, where the present ones lie.

    Raises:
        HarnessError: there are no pages, or one has a region of an unknown name.
    """
    whole = {"cli.md": commands.page(), **loss_pages.pages(folder)}
    written = [path for path in sorted(folder.glob("*.md")) if path.name not in whole]
    if not written:
        raise HarnessError(f"{folder} holds no pages: give the folder docs of a checkout")
    return whole | {path.name: fill(path) for path in written}


def fill(path: Path) -> str:
    """Return the text of a page with its generated regions as they should be.

    Raises:
        HarnessError: a region has an unknown name.
    """

    def region(found: re.Match[str]) -> str:
        name = found[2]
        if name not in REGIONS:
            raise HarnessError(
                f"{path} has a region {name!r} that nothing generates{suggestion(name, REGIONS)}; "
                f"there are {', '.join(REGIONS)}"
            )
        return f"{found[1]}{REGIONS[name]()}\n{found[3]}"

    return _REGION.sub(region, path.read_text(encoding="utf-8"))


def stale(folder: Path) -> list[str]:
    """Return the pages that differ from what the code gives, with those of losses that are gone."""
    return _differing(folder, pages(folder))


def write(folder: Path) -> list[str]:
    """Write the pages that are stale, delete those of losses that are gone; return their names.

    Raises:
        HarnessError: as `pages`.
        StoreError: the folder cannot be written.
    """
    wanted = pages(folder)
    changed = _differing(folder, wanted)
    for name in changed:
        if name in wanted:
            content = wanted[name].encode()
            write_atomically(folder / name, lambda stream, c=content: stream.write(c))  # type: ignore[misc]
        else:
            (folder / name).unlink()
    return changed


def _differing(folder: Path, wanted: dict[str, str]) -> list[str]:
    changed = [name for name, text in wanted.items() if _present(folder / name) != text]
    losses = (path.relative_to(folder).as_posix() for path in folder.glob("losses/*.md"))
    return sorted([*changed, *(name for name in losses if name not in wanted)])


def _present(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
