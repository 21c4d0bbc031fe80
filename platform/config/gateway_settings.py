"""Settings of a gateway process: what `/v1/…` needs of the site, without pages and console."""

from config.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.postgres",
    "tenants",
    "events",
    "metering",
    "adapters",
    "inference",
]

USE_I18N = False  # programs are answered in English
