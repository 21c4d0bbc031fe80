from django.apps import AppConfig


class WebsiteConfig(AppConfig):
    """Pages that belong to no app, or to several."""

    name = "website"
