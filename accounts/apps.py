from functools import partial

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People and their workspaces, from signing up to deletion."""

    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Tell the outbox how the API presents a workspace."""
        from accounts import presenters  # noqa: PLC0415 (models are not loaded before)
        from core.rest.objects import present  # noqa: PLC0415
        from events.outbox import register_presenter  # noqa: PLC0415
        from tenants.models import Tenant  # noqa: PLC0415

        register_presenter(Tenant, partial(present, presenters.WorkspaceObject))
