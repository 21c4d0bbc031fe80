"""Addresses of the pages to write on."""

from django.urls import path

from drafts import views

app_name = "drafts"

urlpatterns = [
    path("", views.list_drafts, name="drafts"),
    path("new/", views.create, name="create"),
    path("import/", views.import_file, name="import"),
    path("<uuid:draft_id>/", views.draft, name="draft"),
    path("<uuid:draft_id>/save/", views.save, name="save"),
    path("<uuid:draft_id>/check/", views.check, name="check"),
    path("<uuid:draft_id>/edit/", views.edit, name="edit"),
    path("<uuid:draft_id>/delete/", views.delete, name="delete"),
    path("<uuid:draft_id>/history/", views.show_history, name="history"),
    path("<uuid:draft_id>/history/<uuid:snapshot_id>/", views.show_history, name="snapshot"),
    path("<uuid:draft_id>/history/keep/", views.take_snapshot, name="keep"),
    path("<uuid:draft_id>/history/<uuid:snapshot_id>/restore/", views.restore, name="restore"),
    path("<uuid:draft_id>/draft.docx", views.download, {"suffix": "docx"}, name="download_docx"),
    path("<uuid:draft_id>/draft.md", views.download, {"suffix": "md"}, name="download_md"),
    path("<uuid:draft_id>/draft.txt", views.download, {"suffix": "txt"}, name="download_txt"),
]
