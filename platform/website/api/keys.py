"""API keys: list, make, get, edit, rotate, revoke."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters.public import find_style_choices
from core.money import NANO
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from tenants.accounts.access import Access
from tenants.api_keys import actions
from tenants.api_keys.actions import MAX_MONTHLY_TOKENS, MAX_PER_MINUTE
from tenants.metering.forms import MAX_USD
from tenants.models import ApiKey, Scope
from tenants.rest import KeyObject, WorkspaceView, idempotent, operation, present_key

WRONG_SCOPE: dict[str, Any] = {
    "invalid_choice": f"Unknown scope “{{input}}”. Available scopes: {', '.join(Scope.values)}."
}
MAX_STYLES = 1000  # that one key may name
OLD_SECRET_HOURS = 24
MAX_OLD_SECRET_HOURS = 24 * 7
WATERMARK_HELP = "`false` for text without a watermark, where the operator allows it."

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


class KeyBody(StrictSerializer):
    """The fields of a key that can be updated."""

    name = TextField(max_length=actions.MAX_NAME, validators=[validate_name], required=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices, error_messages=WRONG_SCOPE),
        min_length=1,
        max_length=len(Scope),
        required=False,
    )
    limits = LimitsBody(required=False)
    is_watermarked = serializers.BooleanField(required=False, help_text=WATERMARK_HELP)
    expires_at = serializers.DateTimeField(
        allow_null=True,
        required=False,
        help_text=(
            "When the key expires. `null` for never. If omitted, a new key expires after the "
            "workspace's `key_lifetime_days`."
        ),
    )


class NewKeyBody(KeyBody):
    """A new key."""

    name = TextField(max_length=actions.MAX_NAME, validators=[validate_name])


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
        key, secret = actions.create_key(self.access, **read_settings(self, NewKeyBody))
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
        key = find_key(self.access, key_id, is_locked=True)
        self.require_match(present_key(key))
        actions.edit_key(key, by=self.access, **read_settings(self, KeyBody))
        return self.answer_object(present_key(key))

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
        self.require_match(present_key(key))
        actions.revoke_key(key, by=self.access)
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
        old_lives = timedelta(hours=self.read_body(RotateBody)["old_secret_hours"])
        key = find_key(self.access, key_id)
        new_key, secret = actions.rotate_key(key, by=self.access, old_lives=old_lives)
        return self.answer_object({**present_key(new_key), "secret": secret}, status=201)


def read_settings(view: WorkspaceView, serializer: type[KeyBody]) -> dict[str, Any]:
    """Return the checked body of a key with its limits beside the other fields, as the actions take them."""
    body = view.read_body(serializer)
    body |= body.pop("limits", {})
    return body


def own_keys(access: Access) -> QuerySet[ApiKey]:
    """Return the keys that people and programs of the workspace made."""
    return ApiKey.objects.shown().filter(tenant=access.tenant).select_related("created_by")


def find_key(access: Access, key_id: UUID, *, is_locked: bool = False) -> ApiKey:
    """Return one of the workspace's keys. Raises Http404.

    Locked, nobody else changes it until the transaction ends: an edit is of the key that was compared.
    """
    keys = own_keys(access)
    if is_locked:
        keys = keys.select_for_update(no_key=True, of=("self",))
    return get_object_or_404(keys, pk=key_id)
