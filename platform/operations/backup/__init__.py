"""Backup and restore of an installation: the database and the bucket. Valkey's data are rebuilt from them."""

from operations.backup.read import write_backup
from operations.backup.restore import restore_backup

__all__ = ["restore_backup", "write_backup"]
