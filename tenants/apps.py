from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """The app as the gateway loads it: models only, nothing records events."""

    name = "tenants"
    verbose_name = "Workspaces"
    default = False


class TenantsSiteConfig(TenantsConfig):
    """The app as the site and the workers load it: changes are recorded as events."""

    default = True

    def ready(self) -> None:
        """Register with the outbox how the API shows this app's objects, and what delivers events."""
        from tenants.api import presenters  # noqa: PLC0415 (models are not loaded before)
        from tenants.events.outbox import register_presenter, register_subscriber  # noqa: PLC0415
        from tenants.models import ApiKey, Tenant, WebhookEndpoint  # noqa: PLC0415
        from tenants.notices.recipients import queue_mails  # noqa: PLC0415
        from tenants.quota_sync.snapshot import publish_after  # noqa: PLC0415
        from tenants.webhooks.delivery import queue_deliveries  # noqa: PLC0415

        register_presenter(ApiKey, presenters.present_key)
        register_presenter(Tenant, presenters.present_workspace)
        register_presenter(WebhookEndpoint, presenters.present_endpoint)
        register_subscriber(queue_deliveries)
        register_subscriber(queue_mails)
        register_subscriber(publish_after)
