from django.apps import AppConfig


class TenantsConfig(AppConfig):
    """The floor as the gateway has it: models, and nobody who records events."""

    name = "tenants"
    verbose_name = "Workspaces"
    default = False


class TenantsSiteConfig(TenantsConfig):
    """The floor as the site and the workers have it: what happens becomes events."""

    default = True

    def ready(self) -> None:
        """Tell the outbox how the API shows this floor's objects, and who carries events on."""
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
