"""Addresses of trainings in the management API, under /api/v1/."""

from django.urls import path

from training.api import documents, evaluations, trainings

TRAINING = "trainings/<uuid:training_id>"

urlpatterns = [
    path("trainings", trainings.TrainingsView.as_view(), name="trainings"),
    path("trainings/evaluations", evaluations.NewEvaluationView.as_view(), name="training_evaluations"),
    path(TRAINING, trainings.TrainingView.as_view(), name="training"),
    path(f"{TRAINING}/documents", documents.DocumentsView.as_view(), name="training_documents"),
    path(f"{TRAINING}/text", documents.TextView.as_view(), name="training_text"),
    path(f"{TRAINING}/documents/finish", documents.FinishView.as_view(), name="finish_training_documents"),
    path(
        f"{TRAINING}/documents/<uuid:document_id>",
        documents.DocumentView.as_view(),
        name="training_document",
    ),
    path(f"{TRAINING}/estimate", trainings.EstimateView.as_view(), name="training_estimate"),
    path(f"{TRAINING}/evaluation", evaluations.EvaluationView.as_view(), name="training_evaluation"),
    path(f"{TRAINING}/start", trainings.StartView.as_view(), name="start_training"),
    path(f"{TRAINING}/pause", trainings.PauseView.as_view(), name="pause_training"),
    path(f"{TRAINING}/resume", trainings.ResumeView.as_view(), name="resume_training"),
    path(f"{TRAINING}/cancel", trainings.CancelView.as_view(), name="cancel_training"),
    path(f"{TRAINING}/events", trainings.EventsView.as_view(), name="training_events"),
]
