from training.models.documents import Document
from training.models.files import File
from training.models.trainings import Status, StopRequest, Training, TrainingEvent, TrainingQuerySet

__all__ = [
    "Document",
    "File",
    "Status",
    "StopRequest",
    "Training",
    "TrainingEvent",
    "TrainingQuerySet",
]
