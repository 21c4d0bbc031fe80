"""A variable of every template: whether this service trains styles."""

from django.conf import settings
from django.http import HttpRequest


def training(request: HttpRequest) -> dict[str, bool]:
    """Return whether templates link to trainings."""
    return {"has_training": settings.TRAINING}
