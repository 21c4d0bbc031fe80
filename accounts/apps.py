from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """People and their workspaces, from signing up to deletion."""

    name = "accounts"
    verbose_name = "Accounts"
