from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from config import celery


class ConsoleConfig(AdminConfig):
    """Django's admin, with our console as its site."""

    default_site = "config.console.Console"


class RoofConfig(AppConfig):
    """The roof itself: it brings Celery, and the management commands that need every floor."""

    name = "config"
    celery = celery.app
