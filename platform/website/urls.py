"""Addresses of the pages that several apps share: settings, a workspace's beginning."""

from django.urls import path

from website import palette, views

app_name = "website"

urlpatterns = [
    path("settings/", views.show_settings, name="settings"),
    path("settings/account/", views.show_account, name="account"),
    path("settings/workspace/", views.edit_workspace, name="edit_workspace"),
    path("settings/new-keys/", views.limit_new_keys, name="limit_new_keys"),
    path("settings/profile/", views.edit_profile, name="edit_profile"),
    path("settings/delete-workspace/", views.delete_workspace, name="delete_workspace"),
    path("settings/keep-workspace/", views.stop_deletion, name="stop_deletion"),
    path("settings/delete-account/", views.delete_account, name="delete_account"),
    path("sample-data/remove/", views.remove_sample, name="remove_sample_data"),
    path("workspaces/switch/", views.switch_workspace, name="switch_workspace"),
    path("workspaces/<uuid:workspace_id>/erasure/", views.show_erasure, name="workspace_erasure"),
    path("search/", palette.search, name="search"),
    path("found/", views.create_workspace, name="create_workspace"),
]
