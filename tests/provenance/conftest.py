import pytest


@pytest.fixture(autouse=True)
def keys(provenance_keys) -> None:
    """Every test here has keys of watermarks and receipts."""
