"""The console's pages of trainings. They never show a text."""

from training.admin import trainings

__all__ = ["trainings"]
