from training.models.documents import Document
from training.models.trainings import Status, StopRequest, Training, TrainingEvent, TrainingQuerySet

__all__ = ["Document", "Status", "StopRequest", "Training", "TrainingEvent", "TrainingQuerySet"]
