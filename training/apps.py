from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Styles from a writer's own texts."""

    name = "training"
    verbose_name = "Trainings"

    def ready(self) -> None:
        """Register how events present this app's objects."""
        from events.outbox import register_presenter  # noqa: PLC0415 (models are not loaded before)
        from training.models import Training  # noqa: PLC0415

        register_presenter(Training, "training.api.trainings.present_training")
