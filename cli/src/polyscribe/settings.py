"""What `polyscribe login` stores: one file in the system's config folder that only its owner can read."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from platformdirs import user_config_path

from polyscribe.errors import BadAddress, BadKey, BadSettings, KeyOfAnotherService, NotLoggedIn

FOLDER_VARIABLE = "POLYSCRIBE_CONFIG_DIR"
KEY_VARIABLE = "POLYSCRIBE_API_KEY"
ADDRESS_VARIABLE = "POLYSCRIBE_BASE_URL"
FILE_NAME = "config.json"
OWNER_ONLY_FILE = 0o600
OWNER_ONLY_FOLDER = 0o700


@dataclass(frozen=True)
class Settings:
    """Which service, the key to it, and the key's workspace."""

    base_url: str
    api_key: str
    workspace: str = ""

    def __repr__(self) -> str:
        return f"Settings({self.base_url!r}, {hint_of(self.api_key)!r}, {self.workspace!r})"


def config_folder() -> Path:
    """Return the folder of the settings and of what is known about open uploads."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else user_config_path("polyscribe")


def load_settings() -> Settings | None:
    """Return what was stored, or None. Raises BadSettings."""
    file = config_folder() / FILE_NAME
    try:
        stored = json.loads(file.read_bytes())
        return Settings(stored["base_url"], stored["api_key"], stored.get("workspace", ""))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{file} can't be read. Run `polyscribe login` to write it again."
        raise BadSettings(message) from error


def save_settings(settings: Settings) -> Path:
    """Store the settings; return the file."""
    file = config_folder() / FILE_NAME
    write_private(file, json.dumps(asdict(settings), indent=2))
    return file


def delete_settings() -> bool:
    """Delete the stored key; return whether there was one."""
    file = config_folder() / FILE_NAME
    was_there = file.exists()
    file.unlink(missing_ok=True)
    return was_there


def resolve_settings(api_key: str | None = None, base_url: str | None = None) -> Settings:
    """Return the settings in force: an argument goes before the environment, and that before the file.

    The stored key goes to the stored address only, so that no other one can be made to receive it.
    Raises NotLoggedIn, KeyOfAnotherService, BadKey, BadAddress or BadSettings.
    """
    address = base_url or os.environ.get(ADDRESS_VARIABLE, "")
    key = clean_key(api_key or os.environ.get(KEY_VARIABLE, ""))
    if address and key:
        return Settings(clean_address(address), key)
    stored = load_settings()
    if stored is None:
        raise NotLoggedIn
    if key:
        return Settings(stored.base_url, key)
    if address and clean_address(address) != stored.base_url:
        raise KeyOfAnotherService
    return stored


def clean_key(written: str) -> str:
    """Return a key without the line's end that files and variables add. Raises BadKey."""
    key = written.strip()
    # What can't stand in a header would come back in the error of the HTTP library, with the key in it.
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise BadKey
    return key


def clean_address(written: str) -> str:
    """Return a service's address without what people paste with it. Raises BadAddress."""
    address = written.strip().rstrip("/")
    for ending in ("/api/v1", "/v1"):
        address = address.removesuffix(ending)
    scheme, separator, host = address.partition("://")
    if scheme not in ("http", "https") or not separator or not host or any(mark in host for mark in "@?# "):
        raise BadAddress
    return address


def hint_of(api_key: str) -> str:
    """Return a key's first and last characters, as the service shows them."""
    return f"{api_key[:10]}…{api_key[-4:]}"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read. A reader sees the old one or the new one, never a half."""
    file.parent.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(draft, file)
