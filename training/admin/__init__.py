"""The console's pages of trainings. They show facts; operators never see a text here."""

from training.admin import trainings

__all__ = ["trainings"]
