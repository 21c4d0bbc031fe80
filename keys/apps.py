from functools import partial

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """API keys: their actions, pages, API and console. Their rows are in tenants, as users are."""

    name = "keys"
    verbose_name = "API keys"

    def ready(self) -> None:
        """Tell the outbox how the API presents a key."""
        from core.rest.objects import present  # noqa: PLC0415
        from events.outbox import register_presenter  # noqa: PLC0415
        from keys import presenters  # noqa: PLC0415 (models are not loaded before)
        from tenants.models import ApiKey  # noqa: PLC0415

        register_presenter(ApiKey, partial(present, presenters.KeyObject))
