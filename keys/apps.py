from django.apps import AppConfig


class KeysConfig(AppConfig):
    """API keys: their actions, pages, API and console. Their rows are in tenants, as users are."""

    name = "keys"
    verbose_name = "API keys"
