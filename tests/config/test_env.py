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
    with pytest.raises(SystemExit, match="ENGINE_MAX_LORAS: eight is not a whole number"):
        env.read_int("ENGINE_MAX_LORAS")


def test_origins_are_as_browsers_send_them(monkeypatch):
    monkeypatch.setenv("API_ALLOWED_ORIGINS", "https://app.example.com, http://localhost:5173,*")
    wanted = {"https://app.example.com", "http://localhost:5173", "*"}
    assert env.read_origins("API_ALLOWED_ORIGINS") == wanted


def test_obsidian_is_an_origin_unless_none_is(monkeypatch):
    monkeypatch.delenv("API_ALLOWED_ORIGINS", raising=False)  # the demo has more
    assert env.read_origins("API_ALLOWED_ORIGINS") == {"app://obsidian.md"}
    monkeypatch.setenv("API_ALLOWED_ORIGINS", "none")
    assert env.read_origins("API_ALLOWED_ORIGINS") == frozenset()


@pytest.mark.parametrize(
    "origin", ["https://a.com/", "https://A.com", "https://a.com:443", "https://a.com/x?y"]
)
def test_an_origin_that_would_never_match_is_told_as_it_should_be(monkeypatch, origin):
    monkeypatch.setenv("API_ALLOWED_ORIGINS", origin)
    with pytest.raises(SystemExit, match=r"API_ALLOWED_ORIGINS.* Use https://a\.com\."):
        env.read_origins("API_ALLOWED_ORIGINS")


@pytest.mark.parametrize(
    "text",
    [
        "app.example.com",
        "null",
        "https://me@a.com",
        "https://",
        "https://*.a.com",
        "https://bü.de",
        "https://[",
    ],
)
def test_what_is_no_origin_is_named(monkeypatch, text):
    monkeypatch.setenv("API_ALLOWED_ORIGINS", text)
    with pytest.raises(SystemExit, match="is not an origin"):
        env.read_origins("API_ALLOWED_ORIGINS")


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


def test_keys_are_read_by_their_numbers(monkeypatch):
    monkeypatch.setenv("WATERMARK_KEYS", " 1:00000000000000aa, 2:FEDCBA9876543210,")
    assert env.read_keys("WATERMARK_KEYS") == {1: "00000000000000aa", 2: "FEDCBA9876543210"}


@pytest.mark.parametrize("text", ["1", "1:abc", "0:aa", "1:aa,1:bb", "one:aa"])
def test_keys_that_are_none_are_named(monkeypatch, text):
    monkeypatch.setenv("WATERMARK_KEYS", text)
    with pytest.raises(SystemExit, match="WATERMARK_KEYS must be a list of NUMBER:HEX"):
        env.read_keys("WATERMARK_KEYS")
