from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Styles from a writer's own texts."""

    name = "training"
    verbose_name = "Trainings"
