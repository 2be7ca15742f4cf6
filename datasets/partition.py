"""CelebA's official partition: which image is train's, validation's or test's."""

from pathlib import Path

from datasets.source import FileState, MissingFilesError
from datasets.tree import InvalidFolderError, Tree, state

NAMES = ("list_eval_partition.txt", "list_eval_partition.csv")
_SPLITS = {"0": "train", "1": "validation", "2": "test"}


class Partition:
    """The file that lists every image with its split, in the official order."""

    def __init__(self, label: str, text: str, states: tuple[FileState, ...]) -> None:
        """Read the lines; raises `InvalidFolderError` for one that is none of such a file."""
        self.states = states
        self.splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.replace(",", " ").split()
            if not fields or fields[0] == "image_id":
                continue
            if len(fields) != 2 or fields[1] not in _SPLITS:
                raise InvalidFolderError(
                    f"line {number} of {label} is {line[:60]!r}, not a file and 0, 1 or 2: "
                    "get the file again"
                )
            self.splits[_SPLITS[fields[1]]].append(fields[0])
        empty = [split for split, names in self.splits.items() if not names]
        if empty:
            raise InvalidFolderError(f"{label} lists no image of {empty[0]}: get the file again")


def find_partition(places: list[Path], tree: Tree | None) -> Partition | None:
    """Return the partition in one of the folders (or their Eval), or else in the tree itself."""
    for place in places:
        for folder in (place, place / "Eval"):
            for path in (folder / name for name in NAMES):
                if path.is_file():
                    text = _text(str(path), path.read_bytes())
                    return Partition(str(path), text, (state(path, path.name),))
    for name in tree.names if tree else ():
        if name.split("/")[-1] in NAMES and tree:
            label = f"{name} in {tree.path}"
            return Partition(label, _text(label, tree.read(name)), tree.states([name]))
    return None


def located(splits: dict[str, list[str]], names: dict[str, str]) -> dict[str, list[str]]:
    """Return the splits with every file replaced by what `names` calls it.

    Raises `MissingFilesError` naming the first file that `names` lacks.
    """
    lacking = [name for members in splits.values() for name in members if name not in names]
    if lacking:
        count = (
            f"{len(lacking)} images that it lists are" if lacking[1:] else "an image it lists is"
        )
        raise MissingFilesError(f"CelebA: {count} missing, first {lacking[0]}")
    return {split: [names[name] for name in members] for split, members in splits.items()}


def _text(label: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidFolderError(f"{label} is no text: get the file again") from error
