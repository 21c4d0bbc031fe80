from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from config import celery


class ConsoleConfig(AdminConfig):
    """Django's admin, with our console as its site."""

    default_site = "config.console.Console"


class RoofConfig(AppConfig):
    """The roof: it brings Celery and the commands that need every floor, and connects the floors."""

    name = "config"
    celery = celery.app

    def ready(self) -> None:
        """Tell the tenants' floor, which imports no floor above it, where styles come from."""
        from adapters.public import STYLE_SOURCE, style_choices  # noqa: PLC0415 (models are not loaded before)
        from tenants.public import register_style_choices, register_style_source  # noqa: PLC0415

        register_style_choices(style_choices)
        register_style_source(STYLE_SOURCE)
