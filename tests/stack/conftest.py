from collections.abc import Iterator

import pytest

from stack.folders import Folders
from stack.services import Stack
from tests.stack.servers import running


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    """The three services, for tests that leave them as they are."""
    with running(Folders(tmp_path_factory.mktemp("with a space") / "var")) as stack:
        yield stack
