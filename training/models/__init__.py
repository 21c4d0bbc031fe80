from training.models.trainings import (
    Document,
    File,
    Status,
    StopRequest,
    Training,
    TrainingEvent,
    TrainingQuerySet,
)

__all__ = [
    "Document",
    "File",
    "Status",
    "StopRequest",
    "Training",
    "TrainingEvent",
    "TrainingQuerySet",
]
