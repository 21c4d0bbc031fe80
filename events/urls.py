"""Addresses of webhooks and notices."""

from django.urls import path

from events.views import notices, webhooks

app_name = "events"

urlpatterns = [
    path("webhooks/", webhooks.list_endpoints, name="webhooks"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.show_endpoint, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/secret/", webhooks.rotate_secret, name="rotate_webhook_secret"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.send_test, name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable/", webhooks.enable_endpoint, name="enable_webhook"),
    path("webhooks/<uuid:endpoint_id>/disable/", webhooks.disable_endpoint, name="disable_webhook"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.delete_endpoint, name="delete_webhook"),
    path("webhooks/deliveries/<uuid:delivery_id>/", webhooks.show_delivery, name="webhook_delivery"),
    path("webhooks/deliveries/<uuid:delivery_id>/again/", webhooks.redeliver, name="redeliver_webhook"),
    path("notices/", notices.choose_notices, name="notices"),
    path("notices/unsubscribe/<str:token>/", notices.unsubscribe, name="unsubscribe"),
]
