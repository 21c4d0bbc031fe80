from django.apps import AppConfig

from operations import settings_checks


class OperationsConfig(AppConfig):
    """Console, doctor, metrics, backup and seeding: what operators run the service with."""

    name = "operations"
    checks = settings_checks.check_settings
