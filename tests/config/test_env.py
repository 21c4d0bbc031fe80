import pytest
from django.conf import settings

from config import env


def test_every_setting_is_documented():
    assert (settings.BASE_DIR / "docs" / "settings.md").read_text() == env.settings_page()


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SystemExit, match="DATABASE_URL is not set"):
        env.read("DATABASE_URL")


def test_a_number_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("ENGINE_MAX_LORAS", "eight")
    with pytest.raises(SystemExit, match="ENGINE_MAX_LORAS: eight is no whole number"):
        env.read_int("ENGINE_MAX_LORAS")
