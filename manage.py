#!/usr/bin/env python
import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    # `platform/` is a source root like src/: see docs/decisions/0001-platform-is-a-source-root.md
    sys.path.insert(1, str(Path(__file__).resolve().parent / "platform"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["checkadapter"]:  # reads two files: needs no service's address and no secret
        secrets = ("DJANGO_SECRET_KEY", "API_KEY_PEPPERS", "CACHE_SALT_SECRET")
        for name in (*secrets, "DATABASE_URL", "VALKEY_URL", "CELERY_BROKER_URL"):
            os.environ.setdefault(name, "")
    # What an operator asks for, a migration above all, takes as long as it needs.
    os.environ.setdefault("DATABASE_LOCK_TIMEOUT_S", "0")
    os.environ.setdefault("DATABASE_STATEMENT_TIMEOUT_S", "0")
    execute_from_command_line(sys.argv)
