"""`python -m harness.documentation FOLDER`: write the pages of docs/ as the code has them."""

import argparse
import sys
from pathlib import Path

from harness.documentation import stale, write
from harness.errors import HarnessError


def main() -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.documentation", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the pages, docs")
    parser.add_argument("--check", action="store_true", help="only name the pages that are stale")
    parser.add_argument(
        "--pictures", action="store_true", help="first draw what each loss sees: a minute or two"
    )
    given = parser.parse_args()
    try:
        if given.pictures:
            from harness.documentation.pictures import draw

            draw(given.folder / "pictures")
        changed = stale(given.folder) if given.check else write(given.folder)
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    for name in changed:
        sys.stdout.write(f"{'stale' if given.check else 'written'}: {given.folder / name}\n")
    return 1 if given.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
