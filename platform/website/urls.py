"""Addresses of the pages that several apps share: settings, a workspace's beginning."""

from django.urls import path

from website import palette
from website.views import sample_data, settings, workspace_erasure, workspaces

app_name = "website"

urlpatterns = [
    path("settings/", settings.show_settings, name="settings"),
    path("settings/account/", settings.show_account, name="account"),
    path("settings/workspace/", settings.edit_workspace, name="edit_workspace"),
    path("settings/new-keys/", settings.limit_new_keys, name="limit_new_keys"),
    path("settings/profile/", settings.edit_profile, name="edit_profile"),
    path("settings/delete-workspace/", settings.delete_workspace, name="delete_workspace"),
    path("settings/keep-workspace/", settings.stop_deletion, name="stop_deletion"),
    path("settings/delete-account/", settings.delete_account, name="delete_account"),
    path("sample-data/remove/", sample_data.remove_sample, name="remove_sample_data"),
    path("workspaces/switch/", workspaces.switch_workspace, name="switch_workspace"),
    path("workspaces/<uuid:workspace_id>/erasure/", workspace_erasure.show_erasure, name="workspace_erasure"),
    path("search/", palette.search, name="search"),
    path("found/", workspaces.create_workspace, name="create_workspace"),
]
