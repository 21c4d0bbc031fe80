from django.apps import AppConfig


class DraftsConfig(AppConfig):
    """The page to write on."""

    name = "drafts"
    verbose_name = "Drafts"
