"""Addresses of trainings in the management API, under /api/v1/."""

from training.api.documents import DocumentViewSet, TextViewSet
from training.api.trainings import EventViewSet, TrainingViewSet

TRAINING = "trainings/<uuid:training_id>"

urlpatterns = [
    *TrainingViewSet.routes("trainings"),
    *EventViewSet.routes(f"{TRAINING}/events"),
    *DocumentViewSet.routes(f"{TRAINING}/documents"),
    *TextViewSet.routes("trainings"),
]
