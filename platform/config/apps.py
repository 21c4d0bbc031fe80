from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from config import celery, checks


class ConsoleConfig(AdminConfig):
    """Django's admin, with our console as its site."""

    default_site = "config.console.Console"


class ProjectConfig(AppConfig):
    """The roof: it brings Celery and the commands that need every floor, and connects the floors."""

    name = "config"
    celery = celery.app
    checks = checks.check_settings

    def ready(self) -> None:
        """Tell the tenants' floor, which imports no floor above it, what it needs to know of styles."""
        from adapters.public import (  # noqa: PLC0415 (models are not loaded before)
            STYLE_SOURCE,
            count_holdings,
            name_answering_style,
            read_object,
            select_first_party_styles,
            style_choices,
            write_object,
        )
        from tenants.public import (  # noqa: PLC0415
            ArchiveStore,
            register_answering_style,
            register_archive_store,
            register_founding,
            register_holdings,
            register_style_choices,
            register_style_source,
        )

        register_answering_style(name_answering_style)
        register_archive_store(ArchiveStore(write_object, read_object))
        register_founding(select_first_party_styles)
        register_holdings(count_holdings)
        register_style_choices(style_choices)
        register_style_source(STYLE_SOURCE)
