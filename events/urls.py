"""Addresses of webhooks and notices."""

from django.urls import path

from events import views

app_name = "events"

urlpatterns = [
    path("webhooks/", views.list_endpoints, name="webhooks"),
    path("webhooks/<uuid:endpoint_id>/", views.show_endpoint, name="webhook"),
    path("webhooks/<uuid:endpoint_id>/secret/", views.rotate_secret, name="rotate_webhook_secret"),
    path("webhooks/<uuid:endpoint_id>/test/", views.send_test, name="test_webhook"),
    path("webhooks/<uuid:endpoint_id>/enable/", views.enable_endpoint, name="enable_webhook"),
    path("webhooks/<uuid:endpoint_id>/disable/", views.disable_endpoint, name="disable_webhook"),
    path("webhooks/<uuid:endpoint_id>/delete/", views.delete_endpoint, name="delete_webhook"),
    path("webhooks/deliveries/<uuid:delivery_id>/", views.show_delivery, name="webhook_delivery"),
    path("webhooks/deliveries/<uuid:delivery_id>/again/", views.redeliver, name="redeliver_webhook"),
    path("notices/", views.choose_notices, name="notices"),
    path("notices/unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
]
