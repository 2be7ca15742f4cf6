"""No test writes into the user's cache: prepared datasets go to a folder of the session."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep prepared datasets in a temporary folder, also those of processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_PREPARED", str(tmp_path_factory.mktemp("prepared")))
        yield
