"""Addresses of the studio's pages about a workspace."""

from django.urls import path

from tenants.views import api_keys, billing, workspaces

app_name = "tenants"

urlpatterns = [
    path("keys/", api_keys.list_keys, name="keys"),
    path("keys/reviewed/", api_keys.end_review, name="keys_reviewed"),
    path("keys/issue/", api_keys.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", api_keys.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/revoke/", api_keys.revoke_key, name="revoke_key"),
    path("usage/", billing.show_usage, name="usage"),
    path("usage/budget/", billing.set_budget, name="set_budget"),
    path("found/", workspaces.create_workspace, name="create_workspace"),
]
