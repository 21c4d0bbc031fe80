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


def test_a_secret_may_be_in_a_file(tmp_path, monkeypatch):
    file = tmp_path / "salt"
    file.write_text("of-the-file\n")
    monkeypatch.setenv("CACHE_SALT_SECRET_FILE", str(file))
    monkeypatch.setenv("CACHE_SALT_SECRET", "of-the-variable")
    assert env.read("CACHE_SALT_SECRET") == "of-the-variable"
    monkeypatch.delenv("CACHE_SALT_SECRET")
    assert env.read("CACHE_SALT_SECRET") == env.read_all()["CACHE_SALT_SECRET"] == "of-the-file"
    file.unlink()
    with pytest.raises(SystemExit, match="CACHE_SALT_SECRET_FILE"):
        env.read("CACHE_SALT_SECRET")
