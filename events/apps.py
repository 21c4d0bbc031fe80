from functools import partial

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """The app in the gateway: models only; nothing records events."""

    name = "events"
    verbose_name = "Events"
    default = False


class EventsSiteConfig(EventsConfig):
    """The app in the site and the workers: what happens is delivered to endpoints and mailboxes."""

    default = True

    def ready(self) -> None:
        """Tell the outbox who gets its events, and how the API presents an endpoint."""
        from core.rest.objects import present  # noqa: PLC0415
        from events import presenters  # noqa: PLC0415 (models are not loaded before)
        from events.models import WebhookEndpoint  # noqa: PLC0415
        from events.notices.recipients import queue_mails  # noqa: PLC0415
        from events.outbox import register_presenter, register_subscriber  # noqa: PLC0415
        from events.webhooks.delivery import queue_deliveries  # noqa: PLC0415

        register_presenter(WebhookEndpoint, partial(present, presenters.EndpointObject))
        register_subscriber(queue_deliveries)
        register_subscriber(queue_mails)
