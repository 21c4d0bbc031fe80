"""The demo's seed. Everything goes the way that a tenant's browser goes: POST to S3, validation, push."""

import io
import json
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from adapters.public import (
    AdapterVersion,
    Style,
    StyleDescription,
    begin_upload,
    enqueue_advance,
    finish_upload,
    is_answering,
    select_style,
    set_public,
)
from foundation.errors import DomainError, NotFound, Unavailable
from tenants.public import (
    Tenant,
    User,
    create_tenant,
    first_party_tenant,
    issue_key,
    limits_of,
    newest_plan_version,
    subscribe_tenant,
    tenant_of,
    verify_key,
)

SHIPPED = settings.BASE_DIR / "engine" / "styles"
EMAIL = "writer@polyscribe.example"
PLAN = "studio"
FILES = ("adapter_config.json", "adapter_model.safetensors")
PATIENCE_S = 120
BEFORE_SERVING = ("uploading", "uploaded", "valid", "pushing")

type Say = Callable[[str], None]


class NotServing(DomainError):
    """{style} does not serve: {reason}"""


class OfAnotherModel(DomainError):
    """{style} was trained on {trained}, and this site serves {served}: name a folder of its styles."""


class NotRemembered(DomainError):
    """{file} can't be written ({reason}): name a file that can, with --secrets or DEMO_SECRETS_FILE."""


def secrets_file() -> Path:
    """Return the file that remembers the demo's password and key, readable by its owner only."""
    return Path(os.environ.get("DEMO_SECRETS_FILE", settings.BASE_DIR / "var" / "demo.json"))


def seed(styles: Path, remembered: Path, *, say: Say) -> None:
    """Make the demo's writer, workspace and key, remember them in a file, and select the shipped styles.

    Safe to repeat. Raises DomainError with what is wrong.
    """
    known = _remembered(remembered)  # before anything is made: a password that nobody can read helps nobody
    user, password = _writer(known.get("password", ""))
    tenant = _workspace(user)
    known = {"login": EMAIL, "password": password, "api_key": _key(tenant, user, known.get("api_key", ""))}
    remembered.write_text(json.dumps(known))
    for style in publish(styles, say=say):
        select_style(tenant, style)


def publish(styles: Path, *, say: Say) -> list[Style]:
    """Offer the shipped styles of a folder to everybody and return them once all serve. Safe to repeat.

    Raises DomainError with what is wrong.
    """
    folders = [folder for folder in sorted(styles.iterdir()) if (folder / FILES[1]).exists()]
    for folder in folders:
        _require_our_model(folder)
    call_command("registerengine", stdout=io.StringIO())
    shipped = [_shipped(folder) for folder in folders]
    for style in shipped:
        began = time.monotonic()
        _await_serving(style)
        say(f"  ✓ {style.model_name:<22} serves    {time.monotonic() - began:5.1f} s")
    return shipped


def _remembered(file: Path) -> dict[str, str]:
    """Return what a file remembers, made for its owner alone if it is new. Raises NotRemembered."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NotRemembered(file=file, reason=error.strerror) from None
    with os.fdopen(handle) as text:
        known: dict[str, str] = json.loads(text.read() or "{}")
    return known


def _writer(password: str) -> tuple[User, str]:
    user = get_user_model().objects.filter(email=EMAIL).first()
    if user is None:
        password = secrets.token_urlsafe(12)
        user = get_user_model().objects.create_superuser(EMAIL, password)
    elif not user.check_password(password):
        password = secrets.token_urlsafe(12)
        user.set_password(password)
        user.save(update_fields=["password"])
    # Nobody reads mail for that address: the demo's own login counts as confirmed.
    EmailAddress.objects.update_or_create(
        user=user, email=EMAIL, defaults={"verified": True, "primary": True}
    )
    return user, password


def _workspace(user: User) -> Tenant:
    try:
        tenant = tenant_of(user)
    except NotFound:
        tenant = create_tenant(user, name="Demo")
    if limits_of(tenant, timezone.now()).plan != PLAN:
        subscribe_tenant(tenant, newest_plan_version(PLAN))
    return tenant


def _key(tenant: Tenant, user: User, secret: str) -> str:
    """Return the remembered key while it is live and this tenant's, else a new one."""
    if verify_key(secret, tenant):
        return secret
    return issue_key(tenant, name="Demo", by=user)[1]


def _require_our_model(folder: Path) -> None:
    """Raises OfAnotherModel before anything is uploaded that validation would reject."""
    config = json.loads((folder / FILES[0]).read_text())
    trained = config.get("base_model_name_or_path") or settings.BASE_MODEL
    if Path(trained).name != Path(settings.BASE_MODEL).name:
        raise OfAnotherModel(style=folder.name, trained=trained, served=settings.BASE_MODEL)


def _shipped(folder: Path) -> Style:
    """Return the house's style of a folder, uploaded if no version of it serves or is on its way."""
    about = json.loads((folder / "style.json").read_text())
    style = Style.objects.filter(owner=first_party_tenant(), slug=about["slug"]).first()
    if style is None or not _hopeful(style):
        style = _upload(folder, about)
    if not style.is_public:
        set_public(style)
    return style


def _hopeful(style: Style) -> bool:
    return style.live_version_id is not None or style.versions.filter(status__in=BEFORE_SERVING[1:]).exists()


def _upload(folder: Path, about: dict[str, Any]) -> Style:
    files = {name: (folder / name).stat().st_size for name in FILES}
    version, uploads = begin_upload(first_party_tenant(), None, StyleDescription(**about), files)
    for upload in uploads:
        answer = urllib3.request(
            "POST",
            upload.url,
            fields={**upload.fields, "file": (upload.file, (folder / upload.file).read_bytes())},
            timeout=30,
        )
        if answer.status >= 300:
            host = urlsplit(upload.url).netloc
            raise Unavailable(
                f"The storage at {host} answered {answer.status} to the upload of {upload.file}."
            )
    finish_upload(version)
    enqueue_advance(version.pk)
    return version.style


def _await_serving(style: Style) -> None:
    """Wait until the style's newest version is on an engine. Raises NotServing with its reason."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        newest = style.versions.order_by("-number").first()
        if newest and newest.status == "serving" and is_answering(newest):
            return
        if newest and newest.is_final and newest.status != "serving":
            raise NotServing(style=style, reason=_reason(newest))
        time.sleep(0.1)
    newest = style.versions.order_by("-number").first()
    raise NotServing(style=style, reason=f"after {PATIENCE_S} s it waits: {newest.note if newest else ''}")


def _reason(version: AdapterVersion) -> str:
    return version.failure or "; ".join(f"{f['sentence']} {f['fix']}" for f in version.findings)
