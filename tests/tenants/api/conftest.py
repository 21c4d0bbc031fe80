import pytest


@pytest.fixture(autouse=True)
def _documented(documented_answers) -> None:
    """Each answer of these tests has a status that the OpenAPI document names."""
