import re
import subprocess

import pytest
from django.conf import settings

from config import env, variables
from config.env import VARIABLES
from stack.coverage import APPS
from stack.folders import ROOT

DJANGOS = ("ALLOWED_HOSTS", "DEBUG", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "SECURE_")


@pytest.fixture
def faults(monkeypatch) -> dict[str, str]:
    """The faults of a table that a test makes."""
    monkeypatch.setattr(env, "VARIABLES", {})
    monkeypatch.setattr(env, "FAULTS", {})
    return env.FAULTS


def test_every_setting_is_documented():
    page = env.settings_page(variables.__file__)
    assert (settings.BASE_DIR / "docs" / "settings.md").read_text() == page


def sources(*paths: str) -> str:
    files = subprocess.check_output(["git", "ls-files", *paths], cwd=ROOT, text=True).split()
    return "\n".join((ROOT / file).read_text() for file in files if file.endswith(".py"))


def test_every_setting_is_read_by_someone():
    """By its name in the settings, or, where only the engine reads it, by its name in the environment."""
    table = sources("platform/config/variables.py")
    config = sources("platform/config/settings.py", "platform/config/serve.py")
    apps = sources(*APPS)
    names = re.findall(r"^([A-Z][A-Z0-9_]+) = ", table, re.MULTILINE)
    unread = []
    for name in names:
        is_read = re.search(rf"\bsettings\.{name}\b", apps) or re.search(rf"\b{name}\b", config)
        if not is_read and not name.startswith(DJANGOS):
            unread.append(name)
    assert len(names) > 80
    assert unread == []
    of_engine = [name for name, row in VARIABLES.items() if row.read_by == "vllm"]
    assert [name for name in of_engine if f'"{name}"' not in sources("engine")] == []


def test_all_that_is_wrong_is_named_at_once_with_what_it_means(tmp_path, monkeypatch, faults):
    monkeypatch.setenv("SLOTS", "eight")
    table = tmp_path / "table.py"
    table.write_text('text("ADDRESS", None)\n"""Where\nit is."""\nwhole("SLOTS", 8)\n"""How many."""\n')
    assert env.text("ADDRESS", None) == ""
    assert env.whole("SLOTS", 8) == 8
    with pytest.raises(SystemExit) as caught:
        env.refuse_faults(str(table))
    assert str(caught.value).splitlines()[:2] == [
        "ADDRESS is not set. Where it is.",
        "SLOTS: eight is not a whole number from 0. How many.",
    ]


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("ENGINE_MAX_LORAS", "0", "0 is not a whole number from 1"),
        ("AUDIT_KEPT_DAYS", "29", "29 is not a whole number from 30, or 0"),
        ("TRACES_RATIO", "1.5", "1.5 is not a number from 0 to 1"),
        ("BASE_TOP_P", "nan", "nan is not a number from 0.1 to 1"),
        ("ENGINE_KIND", "tgi", "tgi is not vllm or ray"),
        ("HSTS_PRELOAD", "true", "true is not 0 or 1"),
        ("VALKEY_URL", "http://valkey", "It is not a URL of the form redis://"),
        ("SITE_URL", "polyscribe.example.com", "It is not a URL of the form http://"),
        ("CACHE_SALT_SECRET", "salt", "It is not a text in hex"),
        ("API_KEY_PEPPER", "first", "first is not a key's number"),
        ("RECEIPT_KEYS", "1:00", "64 hex digits each"),
    ],
)
def test_what_is_out_of_bounds_is_refused(name, text, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        VARIABLES[name].parse(text)


def test_numbers_and_keys_within_their_bounds_are_read():
    assert VARIABLES["AUDIT_KEPT_DAYS"].parse("0") == 0
    assert VARIABLES["AUDIT_KEPT_DAYS"].parse("30") == 30
    assert VARIABLES["API_KEY_PEPPER"].parse("") is None
    assert VARIABLES["API_KEY_PEPPER"].parse("2") == 2
    keys = VARIABLES["WATERMARK_KEYS"].parse(" 1:00000000000000aa, 2:FEDCBA9876543210,")
    assert keys == {1: b"\0\0\0\0\0\0\0\xaa", 2: bytes.fromhex("FEDCBA9876543210")}


@pytest.mark.parametrize("text", ["1", "1:abc", "0:aa", "1:aa,1:bb", "one:aa", "1:"])
def test_keys_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="It is not a list of keys as 1:HEX,2:HEX"):
        VARIABLES["API_KEY_PEPPERS"].parse(text)


def test_origins_are_as_browsers_send_them():
    parse = VARIABLES["API_ALLOWED_ORIGINS"].parse
    wanted = {"https://app.example.com", "http://localhost:5173", "*"}
    assert parse("https://app.example.com, http://localhost:5173,*") == wanted
    assert parse(VARIABLES["API_ALLOWED_ORIGINS"].default) == {"app://obsidian.md"}
    assert parse("none") == frozenset()


@pytest.mark.parametrize(
    "origin", ["https://a.com/", "https://A.com", "https://a.com:443", "https://a.com/x?y"]
)
def test_an_origin_that_would_never_match_is_told_as_it_should_be(origin):
    with pytest.raises(ValueError, match=r"Use https://a\.com$"):
        VARIABLES["API_ALLOWED_ORIGINS"].parse(origin)


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
def test_what_is_no_origin_is_named(text):
    with pytest.raises(ValueError, match="is not an origin"):
        VARIABLES["API_ALLOWED_ORIGINS"].parse(text)


def test_a_secret_may_be_in_a_file(tmp_path, monkeypatch):
    file = tmp_path / "salt"
    file.write_text("of-the-file\n")
    monkeypatch.setenv("CACHE_SALT_SECRET_FILE", str(file))
    monkeypatch.setenv("CACHE_SALT_SECRET", "of-the-variable")
    assert env.find("CACHE_SALT_SECRET") == "of-the-variable"
    monkeypatch.delenv("CACHE_SALT_SECRET")
    assert env.find("CACHE_SALT_SECRET") == "of-the-file"
    file.unlink()
    with pytest.raises(SystemExit, match="CACHE_SALT_SECRET_FILE"):
        env.find("CACHE_SALT_SECRET")
