import pytest
from django.conf import settings

from config import env


def test_every_setting_is_documented():
    assert (settings.BASE_DIR / "docs" / "settings.md").read_text() == env.table()


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("DATABASE_URL")
    with pytest.raises(SystemExit, match="DATABASE_URL is not set"):
        env.read("DATABASE_URL")
