"""Why a backup can't be written or restored."""

from core.errors import DomainError


class BackupRefused(DomainError):
    """The backup can't be used."""


class FolderNotEmpty(BackupRefused):
    """{folder} is not empty: give a backup a folder of its own."""


class NoBackup(BackupRefused):
    """{folder} has no manifest.json: it is no backup, or one that was not written to its end."""


class Damaged(BackupRefused):
    """{file} is not what the manifest says: the backup is damaged, and nothing was restored."""


class NotEmpty(BackupRefused):
    """{part} is not empty. A backup is only restored into an empty installation: nothing was changed."""


class OtherVersion(BackupRefused):
    """The backup was written by another version of Polyscribe: this one lacks the migration {migration}."""
