"""What `polyscribe login` stores: one file in the system's config folder that only its owner can read.

It holds a profile for each workspace that one is logged in to.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from platformdirs import user_config_path

from polyscribe.errors import BadAddress, BadKey, BadSettings, KeyOfAnotherService, NoSuchProfile, NotLoggedIn

KEY_VARIABLE = "POLYSCRIBE_API_KEY"
ADDRESS_VARIABLE = "POLYSCRIBE_BASE_URL"


@dataclass(frozen=True)
class Settings:
    """Which service, the key to it, and the key's workspace."""

    base_url: str
    api_key: str
    workspace: str = ""

    def __repr__(self) -> str:
        return f"Settings({self.base_url!r}, {hint_of(self.api_key)!r}, {self.workspace!r})"


@dataclass(frozen=True)
class Profiles:
    """What is stored: a key for each workspace, and which one is used where none is named."""

    current: str = ""
    stored: Mapping[str, Settings] = field(default_factory=dict)

    def find(self, name: str = "") -> Settings | None:
        """Return a profile by its name, or the current one; None without one. Raises NoSuchProfile."""
        if name and name not in self.stored:
            known = ", ".join(self.stored) or "none yet"
            raise NoSuchProfile(
                f"No such profile: “{name}”. Available: {known}. See polyscribe profiles list."
            )
        return self.stored.get(name or self.current)

    def name_for(self, settings: Settings) -> str:
        """Return the name for a login: its workspace's, with its host's if another service has that name."""
        name = settings.workspace or "default"
        if self.stored.get(name, settings).base_url == settings.base_url:
            return name
        return f"{name}@{settings.base_url.partition('://')[2]}"

    def save(self) -> Path:
        """Write all profiles; return the file."""
        stored = {name: asdict(settings) for name, settings in self.stored.items()}
        file = profiles_file()
        write_private(file, json.dumps({"current": self.current, "profiles": stored}, indent=2))
        return file


def config_folder() -> Path:
    named = os.environ.get("POLYSCRIBE_CONFIG_DIR")
    return Path(named) if named else user_config_path("polyscribe")


def profiles_file() -> Path:
    return config_folder() / "config.json"


def load_profiles() -> Profiles:
    file = profiles_file()
    try:
        stored = json.loads(file.read_bytes())
        profiles = {name: Settings(**facts) for name, facts in stored["profiles"].items()}
        return Profiles(stored["current"], profiles)
    except FileNotFoundError:
        return Profiles()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadSettings(f"{file} can't be read. Run `polyscribe login` to recreate it.") from error


def load_settings(profile: str = "") -> Settings | None:
    """Return a profile that was stored, or the current one. Raises BadSettings and NoSuchProfile."""
    return load_profiles().find(profile)


def save_settings(settings: Settings, profile: str = "") -> Path:
    """Store a login under its profile, which is the current one from now on; return the file.

    A file that can't be read is written anew.
    """
    try:
        known = load_profiles()
    except BadSettings:
        known = Profiles()
    name = profile or known.name_for(settings)
    return Profiles(name, {**known.stored, name: settings}).save()


def replace_key(old_hint: str, secret: str) -> bool:
    """Store the new secret of a key that some profile is logged in with; return whether one is."""
    known = load_profiles()
    for name, settings in known.stored.items():
        if hint_of(settings.api_key) == old_hint:
            new = replace(settings, api_key=secret)
            replace(known, stored={**known.stored, name: new}).save()
            return True
    return False


def delete_settings(profile: str = "") -> bool:
    """Delete a profile, or the current one; return whether there was one.

    Raises NoSuchProfile and BadSettings.
    """
    known = load_profiles()
    if known.find(profile) is None:
        return False
    left = dict(known.stored)
    del left[profile or known.current]
    if left:
        Profiles(known.current if known.current in left else next(iter(left)), left).save()
    else:
        profiles_file().unlink(missing_ok=True)
    return True


def resolve_settings(
    api_key: str | None = None, base_url: str | None = None, profile: str | None = None
) -> Settings:
    """Return the settings in force: an argument goes before the environment, and that before the file.

    A profile that is named as an argument is used whole. The stored key goes to the stored address only, so
    that no other one can be made to receive it.
    Raises NotLoggedIn, NoSuchProfile, KeyOfAnotherService, BadKey, BadAddress or BadSettings.
    """
    address = key = ""
    if not profile:
        address = base_url or os.environ.get(ADDRESS_VARIABLE, "")
        key = clean_key(api_key or os.environ.get(KEY_VARIABLE, ""))
    address = address and clean_address(address)
    if address and key:
        return Settings(address, key)
    stored = load_settings(profile or os.environ.get("POLYSCRIBE_PROFILE", ""))
    if stored is None:
        raise NotLoggedIn
    if key:
        return Settings(stored.base_url, key)
    if address and address != stored.base_url:
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
    scheme, _, host = address.partition("://")
    if scheme not in ("http", "https") or not host or any(mark in host for mark in "@?# "):
        raise BadAddress
    return address


def hint_of(api_key: str) -> str:
    """Return a key's first and last characters, as the service shows them."""
    return f"{api_key[:10]}…{api_key[-4:]}"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read. A reader sees the old one or the new one, never a half."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    os.replace(draft, file)
