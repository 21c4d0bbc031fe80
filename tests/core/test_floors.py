"""`platform/` is a source root: it must neither hide the standard module nor be hidden itself."""

import platform
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_standard_platform_module_still_works():
    assert platform.python_version()
    assert not Path(platform.__file__).is_relative_to(ROOT / "platform")


@pytest.mark.parametrize(
    "floor",
    [
        "config",
        "website",
        "operations",
        "billing",
        "core",
        "tenants",
        "events",
        "metering",
        "accounts",
        "keys",
        "adapters",
        "inference",
    ],
)
def test_a_floor_is_ours_and_not_a_package_of_that_name(floor):
    assert Path(import_module(floor).__file__).is_relative_to(ROOT)
