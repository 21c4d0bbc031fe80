"""Addresses of the pages about API keys, and of the command line's log-in."""

from django.urls import path

from keys import views

app_name = "keys"

urlpatterns = [
    path("keys/", views.list_keys, name="keys"),
    path("keys/reviewed/", views.end_review, name="keys_reviewed"),
    path("keys/issue/", views.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", views.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/rotate/", views.rotate_key, name="rotate_key"),
    path("keys/<uuid:key_id>/revoke/", views.revoke_key, name="revoke_key"),
    path("connect/", views.show_login, name="connect"),
    path("connect/decide/", views.decide_login, name="decide_login"),
]
