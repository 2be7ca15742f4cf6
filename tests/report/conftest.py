"""One synthetic store and one rendering of it for all tests of the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic

from harness.report import Rendered, render
from harness.report.collect import Group, collect
from harness.store import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two groups with every state a cell can be in; see `synthetic.build`."""
    root = tmp_path_factory.mktemp("results") / "synthetic"
    return synthetic.build(root, side=16, images=4, full=False)


@pytest.fixture(scope="session")
def groups(store: Store) -> list[Group]:
    """The groups of `store`: photos with three seeds, digits with one."""
    return collect(store, store.grid())


@pytest.fixture(scope="session")
def rendered(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The report of `store`."""
    return render(store, tmp_path_factory.mktemp("report"))


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Group]:
    """Make a group of one-line rows: `made({"loss": ..., "psnr": [..one per seed..]}, ...)`."""

    def make(*losses: dict[str, Any]) -> Group:
        store = Store(tmp_path / "made")
        cells = []
        for values in losses:
            values = dict(values)
            loss, more = values.pop("loss"), values.pop("more", {})
            seeds = len(next(iter(values.values())))
            cell = synthetic.describe("photos32", loss, seeds, trials=0)
            cells.append(cell)
            for seed in range(seeds):
                own = {name: column[seed] for name, column in values.items()}
                store.write(synthetic.row(cell, "final", seed, 0.1, **own, **more))
        synthetic.write_grid(store, cells)
        return collect(store, store.grid())[0]

    return make
