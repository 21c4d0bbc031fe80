"""Django's commands: `manage.py` of a checkout, `polyscribe-server` of an installed wheel."""

import os
import sys

from django.core.management import execute_from_command_line

READS_FILES_ONLY = ("checkadapter",)  # needs no service's address and no secret
SERVICES = ("DATABASE_URL", "VALKEY_URL", "CELERY_BROKER_URL")
SECRETS = ("DJANGO_SECRET_KEY", "API_KEY_PEPPERS", "CACHE_SALT_SECRET")


def main() -> None:
    """Run the command that the process's arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] and sys.argv[1] in READS_FILES_ONLY:
        for name in (*SECRETS, *SERVICES):
            os.environ.setdefault(name, "")
    # What an operator asks for, a migration above all, takes as long as it needs.
    os.environ.setdefault("DATABASE_LOCK_TIMEOUT_S", "0")
    os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_S", "0")
    execute_from_command_line(sys.argv)
