from django.apps import AppConfig


class AdaptersConfig(AppConfig):
    """The app as the gateway loads it: models only, nothing records events."""

    name = "adapters"
    verbose_name = "Styles and engines"
    default = False


class AdaptersSiteConfig(AdaptersConfig):
    """The app as the site and the workers load it: changes are recorded as events."""

    default = True

    def ready(self) -> None:
        """Register with the outbox how the API shows this app's objects."""
        from adapters.evidence import present_evaluation  # noqa: PLC0415 (models are not loaded before)
        from adapters.models import (  # noqa: PLC0415
            AdapterVersion,
            Erasure,
            Evaluation,
            PriceChange,
            Share,
            Style,
        )
        from events.outbox import register_presenter  # noqa: PLC0415

        register_presenter(AdapterVersion, "adapters.api.versions.present_version")
        register_presenter(Evaluation, present_evaluation)
        register_presenter(Erasure, "adapters.api.erasures.present_erasure")
        register_presenter(PriceChange, "adapters.api.price_changes.present_price_change")
        register_presenter(Share, "adapters.api.sharing.present_share")
        register_presenter(Style, "adapters.api.styles.present_own_style")
