"""Addresses of the audit log."""

from django.urls import path

from tenants import views

app_name = "tenants"

urlpatterns = [
    path("team/audit-log/", views.show_audit_log, name="audit_log"),
    path("team/audit-log/<int:entry_id>/", views.show_audit_entry, name="audit_entry"),
    path("team/audit-log.csv", views.download_audit_log, name="audit_log_csv"),
]
