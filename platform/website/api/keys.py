"""API keys: list, make, get, edit, rotate, revoke."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.public import find_style_choices
from core.errors import NotAllowed
from core.money import NANO
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from tenants.accounts.access import Access
from tenants.accounts.roles import grantable_scopes, may_manage_key
from tenants.api_keys import actions
from tenants.metering.forms import MAX_USD
from tenants.models import ApiKey, Scope
from tenants.rest import KeyObject, WorkspaceView, idempotent, operation, present_key
from website.key_forms import MAX_MONTHLY_TOKENS, MAX_PER_MINUTE

WRONG_SCOPE: dict[str, Any] = {
    "invalid_choice": f"Unknown scope “{{input}}”. Available scopes: {', '.join(Scope.values)}."
}
MAX_STYLES = 1000  # that one key may name
OLD_SECRET_HOURS = 24
MAX_OLD_SECRET_HOURS = 24 * 7

KEY_EXAMPLE = {
    "id": "7f2c1b4e-9d0a-4c55-8a3e-1b2c3d4e5f60",
    "object": "api_key",
    "name": "newsletter",
    "hint": "sk-ps-aB3d…9xYz",
    "scopes": ["inference"],
    "limits": {
        "monthly_tokens": 2_000_000,
        "monthly_nanousd": 25_000_000_000,
        "monthly_usd": "25.00",
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "parallel_requests": None,
        "styles": [],
    },
    "is_watermarked": True,
    "is_live": True,
    "created_by": "alice@example.com",
    "replaced_by": None,
    "created_at": "2026-11-26T09:30:00Z",
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": None,
}
SECRET_EXAMPLE = {**KEY_EXAMPLE, "secret": "sk-ps-" + "x" * 36}


class NotYourKey(NotAllowed):
    """Only the key's creator or a workspace owner can do this. Ask an owner."""

    code = "not_your_key"


class ScopeNotYours(NotAllowed):
    """You can't grant the scope `{scope}`, because your own role doesn't include it."""

    code = "scope_not_yours"


class KeyIsLimited(NotAllowed):
    """This API key has its own limits, so it can't create or change keys, which could bypass those limits."""

    code = "key_is_limited"


class OutlivesYourKey(NotAllowed):
    """This API key expires at {at}. Keys that it creates, changes or rotates can't expire later."""

    code = "outlives_your_key"


class KeyWithSecret(KeyObject):
    """A new key with its secret, which is shown only once."""

    secret = serializers.CharField()


class LimitsBody(StrictSerializer):
    """A key's own limits. With `null` and no styles, only the workspace's limits apply. A new key takes
    omitted limits from the workspace's `key_limits`."""

    monthly_tokens = serializers.IntegerField(
        min_value=1, max_value=MAX_MONTHLY_TOKENS, allow_null=True, required=False
    )
    monthly_nanousd = serializers.IntegerField(
        min_value=1, max_value=MAX_USD * NANO, allow_null=True, required=False
    )
    requests_per_minute = serializers.IntegerField(
        min_value=1, max_value=MAX_PER_MINUTE, allow_null=True, required=False
    )
    tokens_per_minute = serializers.IntegerField(
        min_value=1, max_value=MAX_PER_MINUTE, allow_null=True, required=False
    )
    parallel_requests = serializers.IntegerField(
        min_value=1, max_value=MAX_PER_MINUTE, allow_null=True, required=False
    )
    styles = serializers.ListField(child=serializers.UUIDField(), max_length=MAX_STYLES, required=False)

    def validate_styles(self, style_ids: list[UUID]) -> list[UUID]:
        """Refuse a style that the workspace can't name in `model=`."""
        access: Access = self.context["access"]
        usable = {style_id for style_id, _, _ in find_style_choices(access.tenant, style_ids)}
        unknown = [str(style_id) for style_id in style_ids if style_id not in usable]
        if unknown:
            raise serializers.ValidationError(f"This workspace has no style {unknown[0]}.")
        return style_ids


class WatermarkField(serializers.BooleanField):
    """Whether text is watermarked. It can only be turned off where the operator lets workspaces decide."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            validators=[validate_watermark],
            help_text="`false` for text without a watermark, where the operator allows it.",
            **options,
        )


def validate_watermark(is_watermarked: bool) -> None:
    """Refuse to turn off a watermark that the operator requires."""
    if not is_watermarked and settings.WATERMARK == "required":
        raise serializers.ValidationError("This service watermarks all text it generates.")


class KeyBody(StrictSerializer):
    """The fields of a key that can be updated."""

    name = TextField(max_length=60, validators=[validate_name], required=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices, error_messages=WRONG_SCOPE),
        min_length=1,
        max_length=len(Scope),
        required=False,
    )
    limits = LimitsBody(required=False)
    is_watermarked = WatermarkField(required=False)
    expires_at = serializers.DateTimeField(
        allow_null=True,
        required=False,
        help_text=(
            "When the key expires. `null` for never. If omitted, a new key expires after the "
            "workspace's `key_lifetime_days`."
        ),
    )

    def validate_expires_at(self, expires_at: Any) -> Any:
        """Refuse a moment that has passed."""
        if expires_at and expires_at <= timezone.now():
            raise serializers.ValidationError(
                "This time is in the past. Send null for a key that never expires."
            )
        return expires_at


class NewKeyBody(KeyBody):
    """A new key."""

    name = TextField(max_length=60, validators=[validate_name])


class RotateBody(StrictSerializer):
    """How long the old secret remains valid."""

    old_secret_hours = serializers.IntegerField(
        min_value=0, max_value=MAX_OLD_SECRET_HOURS, default=OLD_SECRET_HOURS
    )


class KeysView(WorkspaceView):
    """All keys of the workspace, and new ones."""

    @operation(
        "keys.list",
        "List API keys",
        scope=Scope.KEYS_WRITE,
        answer=KeyObject,
        is_page=True,
        example=KEY_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the keys, newest first, including revoked ones."""
        return self.answer_page(own_keys(self.access), lambda keys: [present_key(key) for key in keys])

    @operation(
        "keys.create",
        "Create an API key",
        scope=Scope.KEYS_WRITE,
        body=NewKeyBody,
        answer=KeyWithSecret,
        status=201,
        is_post=True,
        example=SECRET_EXAMPLE,
        body_example={"name": "newsletter", "scopes": ["inference"], "limits": {"monthly_tokens": 2_000_000}},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Return a new key with its secret, which is shown only once."""
        require_unlimited(self.access)
        body = self.read_body(NewKeyBody)
        scopes = body.get("scopes", [Scope.INFERENCE.value])
        require_grantable(self.access, scopes)
        actions.require_free_name(self.access.tenant, body["name"])
        key, secret = actions.issue_key(
            self.access.tenant,
            name=body["name"],
            by=self.access.maker,
            expires_at=end_of_new_key(self.access, body),
            scopes=scopes,
            is_watermarked=body.get("is_watermarked", True),
            **{**actions.starting_limits(self.access.tenant), **body.get("limits", {})},
        )
        self.access.audit("api_key.created", key, after={"scopes": key.scopes})
        return self.answer_object({**present_key(key), "secret": secret}, status=201)


class KeyView(WorkspaceView):
    """One key."""

    @operation("keys.get", "Get an API key", scope=Scope.KEYS_WRITE, answer=KeyObject, example=KEY_EXAMPLE)
    def get(self, request: Request, key_id: UUID) -> Response:
        """Return a key."""
        return self.answer_object(present_key(find_key(self.access, key_id)))

    @operation(
        "keys.edit",
        "Update an API key",
        scope=Scope.KEYS_WRITE,
        body=KeyBody,
        answer=KeyObject,
        is_edit=True,
        example=KEY_EXAMPLE,
        body_example={"limits": {"monthly_tokens": 5_000_000}},
    )
    @transaction.atomic
    def patch(self, request: Request, key_id: UUID) -> Response:
        """Update the name, scopes, limits or expiration, effective immediately."""
        require_unlimited(self.access)
        key = find_key(self.access, key_id, is_locked=True)
        require_manageable(self.access, key)
        before = present_key(key)
        self.require_match(before)
        changes = self.read_body(KeyBody)
        changes |= changes.pop("limits", {})
        if "scopes" in changes:
            require_grantable(self.access, set(changes["scopes"]) - set(key.scopes))
            changes["scopes"] = sorted(set(changes["scopes"]))
        if "expires_at" in changes:
            require_end(self.access, changes["expires_at"])
        if "name" in changes:
            actions.require_free_name(self.access.tenant, changes["name"], key=key)
        if changes:
            actions.edit_key(key, **changes)
        after = present_key(key)
        changed = [name for name in after if after[name] != before[name]]
        self.access.audit(
            "api_key.edited",
            key,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
        return self.answer_object(after)

    @operation(
        "keys.revoke",
        "Revoke an API key",
        scope=Scope.KEYS_WRITE,
        answer=KeyObject,
        is_edit=True,
        example=KEY_EXAMPLE,
    )
    @transaction.atomic
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke a key permanently, effective immediately. Repeating the call has no effect."""
        key = find_key(self.access, key_id, is_locked=True)
        require_manageable(self.access, key)
        self.require_match(present_key(key))
        if actions.revoke_key(key):
            self.access.audit("api_key.revoked", key)
        return self.answer_object(present_key(key))


class RotateKeyView(WorkspaceView):
    """A new secret for a key."""

    @operation(
        "keys.rotate",
        "Rotate an API key",
        scope=Scope.KEYS_WRITE,
        body=RotateBody,
        answer=KeyWithSecret,
        status=201,
        is_post=True,
        example=SECRET_EXAMPLE,
        body_example={"old_secret_hours": 24},
    )
    @idempotent
    def post(self, request: Request, key_id: UUID) -> Response:
        """Return a new key with the same name, scopes and limits. The old key expires after some hours."""
        require_unlimited(self.access)
        key = find_key(self.access, key_id, is_locked=True)
        require_manageable(self.access, key)
        require_grantable(self.access, key.scopes)
        require_end(self.access, key.expires_at)
        body = self.read_body(RotateBody)
        old_lives = timedelta(hours=body["old_secret_hours"])
        new_key, secret = actions.rotate_key(key, by=self.access.maker, old_lives=old_lives)
        self.access.audit("api_key.rotated", key, after={"replaced_by": str(new_key.pk)})
        return self.answer_object({**present_key(new_key), "secret": secret}, status=201)


def own_keys(access: Access) -> QuerySet[ApiKey]:
    """Return the keys that people and programs of the workspace made."""
    return ApiKey.objects.shown().filter(tenant=access.tenant).select_related("created_by")


def find_key(access: Access, key_id: UUID, *, is_locked: bool = False) -> ApiKey:
    """Return one of the workspace's keys. Raises Http404.

    Locked, nobody else changes it until the transaction ends: an edit is of the key that was compared.
    """
    keys = own_keys(access).select_related("tenant")
    if is_locked:
        keys = keys.select_for_update(no_key=True, of=("self",))
    return get_object_or_404(keys, pk=key_id)


def require_manageable(access: Access, key: ApiKey) -> None:
    """Raise NotYourKey unless the table of roles lets a person do this.

    A key with the scope may, with keys that may do no more than itself. Raises ScopeNotYours.
    """
    if access.user and not may_manage_key(access.user, access.tenant, key):
        raise NotYourKey
    if access.key:
        require_grantable(access, key.scopes)


def require_unlimited(access: Access) -> None:
    """Raise KeyIsLimited for a key that could shed its own limits by another key."""
    key = access.key
    if key and Scope.ADMIN not in key.scopes and key.own_limits:
        raise KeyIsLimited


def latest_end(access: Access) -> datetime | None:
    """Return the end that keys of the caller's making must have at the latest; None for any."""
    key = access.key
    return key.expires_at if key and Scope.ADMIN not in key.scopes else None


def require_end(access: Access, expires_at: datetime | None) -> None:
    """Raise OutlivesYourKey for an end that is later than the calling key's own."""
    latest = latest_end(access)
    if latest and (expires_at is None or expires_at > latest):
        raise OutlivesYourKey(at=f"{latest:%Y-%m-%d %H:%M} UTC")


def end_of_new_key(access: Access, body: Mapping[str, Any]) -> datetime | None:
    """Return the end that a body names, else the workspace's, but no later than the calling key's own.

    Raises OutlivesYourKey.
    """
    if "expires_at" in body:
        require_end(access, body["expires_at"])
        return cast("datetime | None", body["expires_at"])
    ends = [end for end in (actions.starting_end(access.tenant), latest_end(access)) if end]
    return min(ends, default=None)


def require_grantable(access: Access, scopes: Any) -> None:
    """Raise ScopeNotYours for a scope that the caller does not have: no key makes a mightier one."""
    if access.user:
        allowed = {scope.value for scope in grantable_scopes(access.user, access.tenant)}
    else:
        own = set(access.key.scopes) if access.key else set()
        allowed = set(Scope.values) if Scope.ADMIN in own else own
    for scope in scopes:
        if scope not in allowed:
            raise ScopeNotYours(scope=scope, field="scopes")
