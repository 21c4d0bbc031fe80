"""Seed the demo. Styles take the same path as from a tenant's browser: POST to S3, validation, push."""

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlsplit

import urllib3
from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import first_party_tenant
from adapters.models import AdapterVersion, Style
from adapters.public import (
    StyleDescription,
    begin_upload,
    enqueue_advance,
    finish_upload,
    found_workspace,
    is_answering,
    select_first_party_styles,
    set_public,
)
from core.errors import DomainError, Unavailable
from keys.actions import create_key
from metering.plans import limits_of, newest_plan_version
from operations.models import SampleData
from operations.sample_data.seeding import add_sample_data
from tenants.access import access_of_person
from tenants.audit import record_command
from tenants.models import Scope, Tenant, User
from tenants.models.keys import verify_key

SHIPPED = settings.BASE_DIR / "engine" / "styles"
EMAIL = "writer@polyscribe.example"
PLAN = "studio"
CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
FILES = (CONFIG_FILE, WEIGHTS_FILE)
WITHIN_S = 120.0  # a style serves
POLL_S = 0.1
PENDING = ("uploaded", "valid", "pushing")

type Print = Callable[[str], None]


class NotServing(DomainError):
    """{style} is not serving: {reason}"""


class OfAnotherModel(DomainError):
    """{style} was trained on {trained}, but this site serves {served}. Name a folder with styles for that
    model."""


class SecretsNotWritable(DomainError):
    """{file} can't be written ({reason}). Choose another file with --secrets or DEMO_SECRETS_FILE."""


def secrets_file() -> Path:
    """Return the file that holds the demo's password and key, readable by its owner only."""
    return Path(os.environ.get("DEMO_SECRETS_FILE", settings.BASE_DIR / "var" / "demo.json"))


def seed(styles: Path, secrets: Path, *, with_sample: bool, say: Print, within_s: float = WITHIN_S) -> None:
    """Create the demo's writer, workspace and key, write them to a file, and select the shipped styles.

    `with_sample` adds a sample workspace beside it. Safe to repeat. Raises DomainError with what is wrong.
    """
    # The file comes first: a login that nobody can read is of no use.
    known = _read_secrets(secrets)
    user, password = _ensure_writer(known.get("password", ""))
    tenant = _ensure_workspace(user)
    key = _ensure_key(tenant, user, known.get("api_key", ""))
    secrets.write_text(json.dumps({"login": EMAIL, "password": password, "api_key": key}))
    publish(styles, say=say, within_s=within_s)
    # The demo's workspace was founded before there was a style.
    select_first_party_styles(access_of_person(user, tenant, address=None))
    if with_sample and add_sample_data(user):
        say(f"  ✓ {'sample workspace':<22} opens first; the API key is for {tenant.name}")


def publish(styles: Path, *, say: Print, within_s: float = WITHIN_S) -> list[Style]:
    """Publish the shipped styles of a folder and return them once all serve. Safe to repeat.

    Raises DomainError with what is wrong.
    """
    folders = [folder for folder in sorted(styles.iterdir()) if (folder / WEIGHTS_FILE).exists()]
    for folder in folders:
        _require_served_model(folder)
    # The command is the only public way to register the engine of the settings.
    call_command("registerengine", stdout=io.StringIO())
    shipped = [_publish_folder(folder) for folder in folders]
    for style in shipped:
        began = time.monotonic()
        _await_serving(style, within_s)
        say(f"  ✓ {style.model_name:<22} serves    {time.monotonic() - began:5.1f} s")
    return shipped


def _read_secrets(file: Path) -> dict[str, str]:
    """Return what the file holds. A new file is its owner's alone. Raises SecretsNotWritable."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SecretsNotWritable(file=file, reason=error.strerror) from None
    with os.fdopen(handle) as text:
        known: dict[str, str] = json.loads(text.read() or "{}")
    return known


def _ensure_writer(known_password: str) -> tuple[User, str]:
    """Return the demo's user and password: the known one if it is right, else a new one."""
    user = User.objects.filter(email=EMAIL).first()
    if user is not None and user.check_password(known_password):
        password = known_password
    else:
        password = token_urlsafe(12)
        action = "operator.password_changed"
        if user is None:
            user = User.objects.create_superuser(EMAIL)
            action = "operator.created"
        record_command("seed", action=action, row=user)
        user.set_password(password)
        user.save(update_fields=["password"])
    # Nobody reads mail for that address, so it counts as confirmed.
    EmailAddress.objects.update_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    return user, password


def _ensure_workspace(user: User) -> Tenant:
    # The sample workspace looks older than it is.
    own = Tenant.objects.of(user).exclude(pk__in=SampleData.objects.values("tenant"))
    tenant = own.first() or found_workspace(user, name="Demo")
    if limits_of(tenant, timezone.now()).plan != PLAN:
        subscribe_tenant(tenant, newest_plan_version(PLAN))
    return tenant


def _ensure_key(tenant: Tenant, user: User, known_secret: str) -> str:
    """Return the known secret while it is a live key of the tenant, else a new key's."""
    if verify_key(known_secret, tenant):
        return known_secret
    by = access_of_person(user, tenant, address=None)
    _, secret = create_key(by, name="Demo", is_numbered=True, scopes=[Scope.ADMIN])  # all that one may try
    return secret


def _require_served_model(folder: Path) -> None:
    """Raise OfAnotherModel before anything is uploaded that validation would reject."""
    config = json.loads((folder / CONFIG_FILE).read_text())
    trained = config.get("base_model_name_or_path") or settings.BASE_MODEL
    if Path(trained).name != Path(settings.BASE_MODEL).name:
        raise OfAnotherModel(style=folder.name, trained=trained, served=settings.BASE_MODEL)


def _publish_folder(folder: Path) -> Style:
    """Return the first party's style of a folder. Upload it unless a version serves or soon will."""
    description = json.loads((folder / "style.json").read_text())
    style = Style.objects.filter(owner=first_party_tenant(), slug=description["slug"]).first()
    if style is None or not _has_hope(style):
        style = _upload(folder, description)
        record_command("publishstyles", action="version.created", row=style)
    if not style.is_public:
        set_public(style)
        record_command("publishstyles", action="style.published", row=style)
    return style


def _has_hope(style: Style) -> bool:
    return style.live_version_id is not None or style.versions.filter(status__in=PENDING).exists()


def _upload(folder: Path, description: dict[str, Any]) -> Style:
    sizes = {name: (folder / name).stat().st_size for name in FILES}
    version, uploads = begin_upload(first_party_tenant(), None, StyleDescription(**description), sizes)
    for upload in uploads:
        content = (folder / upload.file).read_bytes()
        response = urllib3.request(
            "POST", upload.url, fields={**upload.fields, "file": (upload.file, content)}, timeout=30
        )
        if response.status >= 300:
            host = urlsplit(upload.url).netloc
            raise Unavailable(
                f"The storage at {host} returned {response.status} for the upload of {upload.file}."
            )
    finish_upload(version)
    enqueue_advance(version.pk)
    return version.style


def _await_serving(style: Style, within_s: float) -> None:
    """Wait until the style's newest version is on an engine. Raises NotServing with its reason."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        newest = style.versions.order_by("-number").first()
        if newest and newest.status == "serving" and _is_answering(newest):
            return
        if newest and newest.is_final and newest.status != "serving":
            raise NotServing(style=style, reason=_explain_failure(newest))
        time.sleep(POLL_S)
    newest = style.versions.order_by("-number").first()
    note = newest.note if newest else ""
    raise NotServing(style=style, reason=f"still waiting after {within_s:.0f} s: {note}")


def _is_answering(version: AdapterVersion) -> bool:
    """Return whether an engine has a version; one that starts has none yet."""
    try:
        return is_answering(version)
    except Unavailable:
        return False


def _explain_failure(version: AdapterVersion) -> str:
    if version.failure:
        return str(version.failure)
    return "; ".join(f"{finding.sentence} {finding.fix}" for finding in version.findings)
