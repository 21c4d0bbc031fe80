"""Why a backup can't be written or restored."""

from core.errors import DomainError


class BackupRefused(DomainError):
    """The backup can't be used."""


class FolderNotEmpty(BackupRefused):
    """{folder} is not empty. Choose an empty folder for each backup."""


class NoBackup(BackupRefused):
    """{folder} has no manifest.json: it is no backup, or the backup was interrupted."""


class Damaged(BackupRefused):
    """{file} does not match its hash: the backup is damaged. Nothing was restored."""


class ForeignBackup(BackupRefused):
    """{folder} was changed, or sealed under API_KEY_PEPPERS that are missing here. Nothing was restored."""


class NotEmpty(BackupRefused):
    """{part} is not empty. Restore a backup into an empty installation only. Nothing was changed."""


class OtherVersion(BackupRefused):
    """The backup was made by another version of Polyscribe. This version lacks the migration {migration}."""


class ProgramFailed(BackupRefused):
    """{program} failed: {reason}"""
