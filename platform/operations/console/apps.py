from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """Django's admin, with our console as its site."""

    default_site = "operations.console.site.Console"
