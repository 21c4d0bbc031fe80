from django.apps import AppConfig

from config import celery


class ProjectConfig(AppConfig):
    """What Django starts with. It brings Celery."""

    name = "config"
    celery = celery.app
