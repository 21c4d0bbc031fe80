from django.apps import AppConfig


class MeteringConfig(AppConfig):
    """The app in the gateway: models only; nothing records events."""

    name = "metering"
    verbose_name = "Plans, usage and invoices"
    default = False


class MeteringSiteConfig(MeteringConfig):
    """The app in the site and the workers: an event publishes its workspace's limits."""

    default = True

    def ready(self) -> None:
        """Publish after each event what it changed."""
        from events.outbox import register_subscriber  # noqa: PLC0415 (models are not loaded before)
        from metering.quota_sync.snapshot import publish_after  # noqa: PLC0415

        register_subscriber(publish_after)
