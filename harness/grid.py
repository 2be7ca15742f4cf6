"""What to run: grids of losses × datasets × models, read from TOML or from the command line."""

import fnmatch
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness import components, plugins, presets
from harness.components import Component, Term
from harness.errors import HarnessError, suggestion
from harness.invalid import explain
from harness.protocol import Protocol
from harness.specs import slug


class Cell(BaseModel):
    """One (dataset, model, loss) under one protocol: plain data that any process can run."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    dataset: Component
    model: Component
    loss: tuple[Term, ...]
    protocol: Protocol

    @property
    def loss_spec(self) -> str:
        """The loss as the grammar writes it."""
        return components.loss_spec(self.loss)

    @property
    def id(self) -> str:
        """Readable slug and eight hex digits of the hash of everything that decides the numbers.

        The numbers of seeds and of curve points are left out: adding some never retunes a cell.
        """
        names = "-".join(slug(part) for part in (self.dataset.spec, self.model.spec))
        content = {
            "dataset": [self.dataset.name, self.dataset.options],
            "model": [self.model.name, self.model.options],
            "loss": [list(term.record().values()) for term in self.loss],
            "protocol": self.protocol.identity(),
        }
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{names}-{slug(self.loss_spec)}"[:100] + f"-{digest}"

    def describe(self) -> dict[str, Any]:
        """Return the entry of this cell in the stored grid description."""
        return {
            "id": self.id,
            "dataset": self.dataset.spec,
            "model": self.model.spec,
            "loss": self.loss_spec,
            "seeds": self.protocol.seeds,
            "trials": self.protocol.trials if self.protocol.tuned else 0,
            "protocol": self.protocol.model_dump(mode="json"),
            "resolved": self.model_dump(mode="json"),
        }

    @classmethod
    def described(cls, entry: dict[str, Any]) -> Self:
        """Return the cell of a stored entry; see `describe`.

        Raises:
            HarnessError: another version of the harness described it.
        """
        try:
            return cls.model_validate(entry["resolved"])
        except (ValidationError, KeyError):
            raise HarnessError(
                f"another version of the harness described {entry.get('id', 'a stored cell')}: "
                "give the command that made its grid once more"
            ) from None


class Entry(BaseModel):
    """A loss of a block with overrides of the protocol that hold for it alone."""

    model_config = ConfigDict(extra="forbid")
    loss: str
    protocol: dict[str, Any] = Field(default_factory=dict)


class Block(BaseModel):
    """Losses × datasets × models, with overrides of the protocol."""

    model_config = ConfigDict(extra="forbid")
    losses: list[str | Entry] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    models: list[str] = Field(min_length=1)
    protocol: dict[str, Any] = Field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """The losses, those given as text too, with their overrides."""
        return [Entry(loss=each) if isinstance(each, str) else each for each in self.losses]


class Grid(BaseModel):
    """A named set of blocks under one protocol.

    Blocks of included grids stand first and keep their own grid's protocol, so that their cells
    are the same ones.
    """

    model_config = ConfigDict(extra="forbid")
    name: str
    title: str = ""
    plugins: list[str] = Field(default_factory=list)  # files of losses, beside the TOML file
    include: list[str] = Field(default_factory=list)  # grids of the package
    protocol: dict[str, Any] = Field(default_factory=dict)
    block: list[Block] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not self.block and not self.include:
            given = "block" in self.model_fields_set
            what = "block = [] is invalid" if given else "the key 'block' is missing"
            raise ValueError(
                f"{what}: write at least one [[block]] with the keys losses, datasets and models"
            )
        return self

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        """A name is also a folder."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(
                f"the name {name!r} of the grid cannot name a folder: write letters, digits, dots, "
                "dashes and underscores, and begin with a letter or digit"
            )
        return name

    @field_validator("block", mode="before")
    @classmethod
    def _check_block(cls, block: Any) -> Any:
        if isinstance(block, dict):
            raise ValueError("the grid has [block] with single brackets: write [[block]]")
        return block

    def cells(self) -> list[Cell]:
        """Resolve every cell, in the order of the file, each once.

        Raises:
            HarnessError: an unknown component or option, or a value out of range.
        """
        found: dict[str, Cell] = {}
        for block in self.block:
            for cell in self.block_cells(block):
                found.setdefault(cell.id, cell)
        return list(found.values())

    def block_cells(self, block: Block) -> Iterator[Cell]:
        """Resolve the cells of one block, in the order of the file."""
        for dataset in block.datasets:
            for model in block.models:
                for entry in block.entries:
                    yield Cell(
                        dataset=components.resolve("dataset", dataset),
                        model=components.resolve("model", model),
                        loss=components.resolve_loss(entry.loss),
                        protocol=self._protocol(block, entry),
                    )

    def _protocol(self, block: Block, entry: Entry) -> Protocol:
        layers = (self.protocol, block.protocol, entry.protocol)
        return make_protocol({k: v for each in layers for k, v in presets.expand(each).items()})

    def check_protocols(self, origin: str) -> None:
        """Refuse a wrong key or value of a protocol, named with where the grid came from.

        Raises:
            HarnessError: an unknown or invalid key of a protocol, or an unknown preset.
        """
        for block in self.block:
            for entry in block.entries:
                try:
                    self._protocol(block, entry)
                except HarnessError as error:
                    raise HarnessError(f"{origin}: {error}") from None


def names() -> list[str]:
    """Return the names of the grids that come with the package."""
    folder = resources.files("harness") / "grids"
    return sorted(path.name[:-5] for path in folder.iterdir() if path.name.endswith(".toml"))


def load(name: str, overrides: dict[str, Any] | None = None) -> Grid:
    """Read a grid by name or from a TOML file; `overrides` win over every key of the protocol.

    Raises:
        HarnessError: unknown name, missing file, malformed TOML, unknown or invalid key.
    """
    path = Path(name)
    if name.strip() and name not in names() and _is_folder(path):
        files = sorted(path.glob("*.toml"))
        example = files[0] if files else path / "grid.toml"
        raise HarnessError(f"--grid {name} is a folder: name a TOML file, such as {example}")
    if name.endswith(".toml"):
        if not path.is_file():
            raise HarnessError(f"there is no grid file {name}")
        grid = parse(_text(path), name, overrides or {})
        plugins.load_all(path.parent / file for file in grid.plugins)
        return grid
    if name not in names():
        raise HarnessError(
            f"unknown grid {name!r}{suggestion(name, names())}. See: harness list grids"
        )
    text = (resources.files("harness") / "grids" / f"{name}.toml").read_text()
    return parse(text, name, overrides or {})


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file can have
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"cannot read the grid file {path}: {error}") from None


def parse(text: str, origin: str, overrides: dict[str, Any]) -> Grid:
    """Read a grid from TOML text; `origin` names it in errors."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HarnessError(f"{origin} is not valid TOML: {error}") from None
    content.setdefault("name", Path(origin).stem)
    return make(content, origin, overrides)


def make(content: dict[str, Any], origin: str, overrides: dict[str, Any]) -> Grid:
    """Validate a grid given as plain data; `origin` names it in errors.

    Raises:
        HarnessError: an unknown or invalid key, an unknown preset or included grid.
    """
    try:
        grid = Grid.model_validate(content)
    except ValidationError as error:
        raise HarnessError(f"{origin}: {explain(error, [Grid, Block, Entry])}") from None
    grid.check_protocols(origin)  # before the overrides: what they get wrong is not the file's
    if grid.include:
        grid.block, grid.protocol = [*_included(grid.include, origin), *_written_out(grid)], {}
    if not overrides:
        return grid
    overrides = presets.expand(overrides)
    for block in grid.block:
        block.protocol = presets.expand(block.protocol) | overrides
        block.losses = [
            item
            if isinstance(item, str)
            else item.model_copy(
                update={
                    "protocol": {
                        key: value
                        for key, value in presets.expand(item.protocol).items()
                        if key not in overrides
                    }
                }
            )
            for item in block.losses
        ]
    return grid


def _included(chosen: list[str], origin: str) -> list[Block]:
    """Return the blocks of the named grids."""
    for name in chosen:
        if name not in names():
            raise HarnessError(
                f"{origin}: include names {name!r}, no grid of the package"
                f"{suggestion(name, names())}. See: harness list grids"
            )
    return [block for name in chosen for block in _written_out(load(name))]


def _written_out(grid: Grid) -> list[Block]:
    """Return the blocks with the protocol of their grid written out in each."""
    outer = presets.expand(grid.protocol)
    return [
        block.model_copy(update={"protocol": outer | presets.expand(block.protocol)})
        for block in grid.block
    ]


def make_protocol(keys: dict[str, Any]) -> Protocol:
    """Validate a protocol; errors name the key, the value seen and the nearest valid name."""
    try:
        return Protocol.model_validate(keys)
    except ValidationError as error:
        raise HarnessError(f"protocol: {explain(error, [Protocol])}") from None


def select(cells: list[Cell], pattern: str | None) -> list[Cell]:
    """Return the cells whose id matches the glob, or whose id contains the plain text.

    Raises:
        HarnessError: nothing matches.
    """
    if not pattern:
        return cells
    found = matching([cell.id for cell in cells], pattern)
    return [cell for cell in cells if cell.id in found]


def matching(ids: list[str], pattern: str) -> set[str]:
    """Return the ids that match the glob, or that contain the plain text.

    Raises:
        HarnessError: nothing matches.
    """
    globbed = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    found = {each for each in ids if fnmatch.fnmatchcase(each, globbed)}
    if not found:
        raise HarnessError(
            f"--only {pattern!r} matches none of the {len(ids)} cells, "
            f"such as {' and '.join(ids[:2])}"
        )
    return found
