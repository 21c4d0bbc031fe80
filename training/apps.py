from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Styles from a writer's own texts."""

    name = "training"
    verbose_name = "Trainings"

    def ready(self) -> None:
        """Tell the outbox how the API shows this app's objects, and uploads what else is stored."""
        from adapters.public import register_storage_counter  # noqa: PLC0415 (models are not loaded before)
        from tenants.public import register_presenter  # noqa: PLC0415
        from training.api.presenters import present_training  # noqa: PLC0415
        from training.files.store import count_stored_bytes  # noqa: PLC0415
        from training.models import Training  # noqa: PLC0415

        register_presenter(Training, present_training)
        register_storage_counter(count_stored_bytes)
