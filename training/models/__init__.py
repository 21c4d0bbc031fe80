from training.models.documents import Document
from training.models.trainings import Status, Training, TrainingEvent

__all__ = ["Document", "Status", "Training", "TrainingEvent"]
