"""For all tests: the longest files first, and nothing written into the user's cache."""

from collections.abc import Iterator

import pytest

# The longest files begin first, so that no process is left alone with one at the end.
LONGEST = (
    "test_r_interrupt.py",
    "test_report_figures.py",
    "test_report_page.py",
    "test_r_resume.py",
    "test_r_engine.py",
    "test_h_plugins.py",
    "test_report_ledger.py",
    "test_report_paper_tables.py",
    "test_r_tune.py",
    "test_r_cell.py",
    "test_metric_pretrained.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file the order stays."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep prepared datasets in a temporary folder, also those of processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_PREPARED", str(tmp_path_factory.mktemp("prepared")))
        yield
