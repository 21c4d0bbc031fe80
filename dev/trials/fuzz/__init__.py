"""`make trial NAME=fuzz`: mutated adapters against validation and a real engine."""

import os

from django.conf import settings

# Validation's messages ask Django for a language. The trial needs no more of the site.
if not settings.configured and "DJANGO_SETTINGS_MODULE" not in os.environ:
    settings.configure()
