"""Addresses of the tenants' pages."""

from django.urls import path

from tenants import views

app_name = "tenants"

urlpatterns = [
    path("keys/", views.keys, name="keys"),
    path("keys/reviewed/", views.keys_reviewed, name="keys_reviewed"),
    path("keys/issue/", views.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", views.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/revoke/", views.revoke_key, name="revoke_key"),
    path("usage/", views.usage, name="usage"),
    path("usage/budget/", views.set_budget, name="set_budget"),
    path("found/", views.found, name="found"),
]
