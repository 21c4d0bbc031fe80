"""A public site does not start with secrets that others know."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from config.secret_checks import find_weaknesses

RANDOM = [f"{number:02d}c3a9f07b1e64d58260fe9b7a41c8d35e" for number in range(20)]
GOOD = {
    "SITE_URL": "https://polyscribe.example.com",
    "DJANGO_SECRET_KEY": RANDOM[0],
    "DATABASE_URL": f"postgres://polyscribe:{RANDOM[1]}@postgres:5432/polyscribe",
    "VALKEY_URL": f"redis://:{RANDOM[2]}@valkey:6379/0",
    "CELERY_BROKER_URL": f"redis://:{RANDOM[2]}@valkey:6379/1",
    "AWS_SECRET_ACCESS_KEY": RANDOM[3],
    "API_KEY_PEPPERS": f"2:{RANDOM[4]},1:{RANDOM[5]}",
    "CACHE_SALT_SECRET": RANDOM[6],
    "ENGINE_API_KEY": RANDOM[7],
    "EMAIL_URL": "smtp://user:password@mail.example.com:587",
}


def test_a_well_set_site_starts_and_so_does_a_laptop_with_anything():
    assert find_weaknesses(GOOD) == []
    assert find_weaknesses(GOOD | {"AWS_SECRET_ACCESS_KEY": ""}) == []
    while_replaced = {"DJANGO_SECRET_KEY_FALLBACKS": f"{RANDOM[8]},{GOOD['DJANGO_SECRET_KEY']}"}
    assert find_weaknesses(GOOD | while_replaced) == []
    assert find_weaknesses(GOOD | {"ENGINE_API_KEY": "", "ENGINE_KIND": "ray"}) == []
    assert find_weaknesses(GOOD | {"EMAIL_URL": ""}) == [], "what sends no mail has no password for it"
    assert find_weaknesses({"SITE_URL": "http://127.0.0.1:8000", "DJANGO_SECRET_KEY": "x"}) == []


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"DJANGO_SECRET_KEY": "change-me"}, "DJANGO_SECRET_KEY is a publicly known value"),
        (
            {"DJANGO_SECRET_KEY": "django-insecure-" + RANDOM[9]},
            "DJANGO_SECRET_KEY is a publicly known value",
        ),
        ({"DJANGO_SECRET_KEY": RANDOM[9][:31]}, "DJANGO_SECRET_KEY is too short"),
        (
            {"DJANGO_SECRET_KEY_FALLBACKS": f"{RANDOM[8]},change-me"},
            "DJANGO_SECRET_KEY_FALLBACKS (number 2) is a publicly known value",
        ),
        ({"SITE_URL": "HTTPS://example.com", "CACHE_SALT_SECRET": "00"}, "CACHE_SALT_SECRET is too short"),
        ({"CACHE_SALT_SECRET": "00"}, "CACHE_SALT_SECRET is too short"),
        ({"CACHE_SALT_SECRET": "0" * 64}, "CACHE_SALT_SECRET is not random"),
        ({"API_KEY_PEPPERS": f"2:{RANDOM[4]},1:00"}, "API_KEY_PEPPERS (number 1) is too short"),
        ({"ENGINE_API_KEY": ""}, "ENGINE_API_KEY is missing"),
        ({"ENGINE_API_KEY": RANDOM[0]}, "DJANGO_SECRET_KEY and ENGINE_API_KEY are the same"),
        (
            {"DATABASE_URL": "postgres://polyscribe@postgres/polyscribe"},
            "the password in DATABASE_URL is missing",
        ),
        (
            {"VALKEY_URL": "redis://:change-me@valkey:6379/0"},
            "the password in VALKEY_URL is a publicly known value",
        ),
        ({"CELERY_BROKER_URL": "redis://broker:6379/1"}, "the password in CELERY_BROKER_URL is missing"),
        ({"EMAIL_URL": "file:///var/mail"}, "EMAIL_URL is not a mail server"),
        ({"STRIPE_API_BASE": "https://stripe.example.com"}, "STRIPE_API_BASE is for tests"),
        ({"STRIPE_SECRET_KEY": "rk_live_1"}, "STRIPE_WEBHOOK_SECRET is missing"),
        ({"MAILBOX": "1"}, "MAILBOX=1"),
        ({"DJANGO_DEBUG": "1"}, "DJANGO_DEBUG=1"),
    ],
)
def test_what_a_public_site_must_not_start_with_is_named_without_repeating_it(bad, named):
    (found,) = find_weaknesses(GOOD | bad)
    assert named in found
    assert not any(secret in found for secret in RANDOM)


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the variables of a public site."""
    environment = {**os.environ, **GOOD, **variables}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True)


def test_the_settings_themselves_refuse_so_that_every_process_does():
    done = run("import config.settings", DJANGO_SECRET_KEY="change-me")
    assert done.returncode == 1
    assert "DJANGO_SECRET_KEY is a publicly known value" in done.stderr
    assert "Traceback" not in done.stderr


ANSWERS = """
import importlib, os
import django
from django.test import Client, override_settings

django.setup()
import config.settings
from config import variables

for flag in ("", "HSTS_SUBDOMAINS", "HSTS_PRELOAD"):
    os.environ[flag or "NONE"] = "1"
    importlib.reload(variables)
    read = vars(importlib.reload(config.settings))
    with override_settings(**{name: value for name, value in read.items() if name.startswith("SECURE_")}):
        answer = Client().get("/healthz", secure=True, headers={"host": "localhost"})
        print(answer.status_code, answer.headers.get("Strict-Transport-Security"))
"""


def test_a_public_site_is_https_only_for_browsers_and_its_subdomains_by_setting():
    done = run(ANSWERS, MAILBOX="0")
    assert done.stdout.splitlines()[-3:] == [
        "200 max-age=31536000",
        "200 max-age=31536000; includeSubDomains",
        "200 max-age=31536000; includeSubDomains; preload",
    ], done.stderr
