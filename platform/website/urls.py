"""Addresses of the pages that several apps share: keys, settings, a workspace's beginning."""

from django.urls import path

from website import palette
from website.views import api_keys, connect, sample_data, settings, workspace_erasure, workspaces

app_name = "website"

urlpatterns = [
    path("keys/", api_keys.list_keys, name="keys"),
    path("keys/reviewed/", api_keys.end_review, name="keys_reviewed"),
    path("keys/issue/", api_keys.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", api_keys.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/rotate/", api_keys.rotate_key, name="rotate_key"),
    path("keys/<uuid:key_id>/revoke/", api_keys.revoke_key, name="revoke_key"),
    path("connect/", connect.show_login, name="connect"),
    path("connect/decide/", connect.decide_login, name="decide_login"),
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
