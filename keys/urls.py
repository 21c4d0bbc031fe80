"""Addresses of the pages about API keys, and of the command line's log-in."""

from django.urls import path

from keys.views import connect, keys

app_name = "keys"

urlpatterns = [
    path("keys/", keys.list_keys, name="keys"),
    path("keys/reviewed/", keys.end_review, name="keys_reviewed"),
    path("keys/issue/", keys.issue_key, name="issue_key"),
    path("keys/<uuid:key_id>/limits/", keys.limit_key, name="limit_key"),
    path("keys/<uuid:key_id>/rotate/", keys.rotate_key, name="rotate_key"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke_key, name="revoke_key"),
    path("connect/", connect.show_login, name="connect"),
    path("connect/decide/", connect.decide_login, name="decide_login"),
]
