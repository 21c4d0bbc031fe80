from functools import partial

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """The app in the gateway: models only; nothing records events."""

    name = "tenants"
    verbose_name = "Workspaces"
    default = False


class TenantsSiteConfig(TenantsConfig):
    """The app in the site and the workers: what happens is recorded as events."""

    default = True

    def ready(self) -> None:
        """Tell the outbox how the API presents this app's objects, and who gets its events."""
        from core.rest.objects import present  # noqa: PLC0415
        from tenants.api import presenters  # noqa: PLC0415 (models are not loaded before)
        from tenants.events.outbox import register_presenter, register_subscriber  # noqa: PLC0415
        from tenants.models import ApiKey, Tenant, WebhookEndpoint  # noqa: PLC0415
        from tenants.notices.recipients import queue_mails  # noqa: PLC0415
        from tenants.quota_sync.snapshot import publish_after  # noqa: PLC0415
        from tenants.webhooks.delivery import queue_deliveries  # noqa: PLC0415

        register_presenter(ApiKey, partial(present, presenters.KeyObject))
        register_presenter(Tenant, partial(present, presenters.WorkspaceObject))
        register_presenter(WebhookEndpoint, partial(present, presenters.EndpointObject))
        register_subscriber(queue_deliveries)
        register_subscriber(queue_mails)
        register_subscriber(publish_after)
