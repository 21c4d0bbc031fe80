"""Addresses below /v1/. config/asgi.py brings them here, past the gateway."""

from django.urls import path, re_path

from inference.openai_views.base import answer_unknown
from provenance.api import views

app_name = "provenance_api"

urlpatterns = [
    path("receipts/<str:request_id>", views.ReceiptView.as_view(), name="receipt"),
    path("content_provenance_checks", views.ChecksView.as_view(), name="checks"),
    re_path("^(?:receipts|content_provenance_checks)", answer_unknown),
]
