from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from operations import settings_checks


class ConsoleConfig(AdminConfig):
    """Django's admin, with our console as its site."""

    default_site = "operations.console.site.Console"


class OperationsConfig(AppConfig):
    """Console, doctor, metrics, backup and seeding: what operators run the service with."""

    name = "operations"
    checks = settings_checks.check_settings
