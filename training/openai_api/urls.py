"""Addresses in OpenAI's form, under /v1/. config/asgi.py brings them here, past the gateway."""

from django.urls import path, re_path

from inference.openai_views.base import answer_unknown
from training.openai_api import file_views, job_views

app_name = "openai"

JOBS = "fine_tuning/jobs"
JOB = f"{JOBS}/<str:job_id>"

urlpatterns = [
    path("files", file_views.FilesView.as_view(), name="files"),
    path("files/<str:file_id>", file_views.FileView.as_view(), name="file"),
    path("files/<str:file_id>/content", file_views.ContentView.as_view(), name="file_content"),
    path(JOBS, job_views.JobsView.as_view(), name="jobs"),
    path(JOB, job_views.JobView.as_view(), name="job"),
    path(f"{JOB}/cancel", job_views.CancelView.as_view(), name="cancel_job"),
    path(f"{JOB}/pause", job_views.PauseView.as_view(), name="pause_job"),
    path(f"{JOB}/resume", job_views.ResumeView.as_view(), name="resume_job"),
    path(f"{JOB}/events", job_views.EventsView.as_view(), name="job_events"),
    path(f"{JOB}/checkpoints", job_views.CheckpointsView.as_view(), name="job_checkpoints"),
    re_path("", answer_unknown),
]
