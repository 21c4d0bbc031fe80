"""API keys; and log-ins in the browser, with which a program gets one."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from adapters.public import find_style_choices
from core import rates
from core.http import network_of
from core.money import NANO
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import present
from keys import actions, device_logins
from keys.actions import MAX_MONTHLY_TOKENS, MAX_PER_MINUTE
from keys.presenters import KeyObject
from metering.forms import MAX_USD
from tenants.access import Access
from tenants.models import ApiKey, Scope, default_scopes
from tenants.rest import WorkspaceViewSet, described, post

WRONG_SCOPE: dict[str, Any] = {
    "invalid_choice": f"Unknown scope “{{input}}”. Available scopes: {', '.join(Scope.values)}."
}
MAX_STYLES = 1000  # that one key may name
OLD_SECRET_HOURS = 24
MAX_OLD_SECRET_HOURS = 24 * 7
WATERMARK_HELP = "`false` for text without a watermark, where the operator allows it."
BEGUN_PER_MINUTE = 10  # from one network
POLLS_PER_MINUTE = 120  # from one network; a program asks twenty times
DEVICE_CODE = "kV3x" + "0" * 39  # in examples
STATES = (device_logins.PENDING, device_logins.APPROVED, device_logins.DENIED)


def limit_field(most: int) -> serializers.IntegerField:
    """Return the field of a limit, which may be lifted by `null`."""
    return serializers.IntegerField(min_value=1, max_value=most, allow_null=True, required=False)


class KeyWithSecret(KeyObject):
    """A new key with its secret, which is shown only once."""

    secret = serializers.CharField(initial="sk-ps-" + "x" * 36)


class LimitsBody(StrictSerializer):
    """A key's own limits. With `null` and no styles, only the workspace's limits apply. A new key takes
    omitted limits from the workspace's `key_limits`."""

    monthly_tokens = limit_field(MAX_MONTHLY_TOKENS)
    monthly_nanousd = limit_field(MAX_USD * NANO)
    requests_per_minute = limit_field(MAX_PER_MINUTE)
    tokens_per_minute = limit_field(MAX_PER_MINUTE)
    parallel_requests = limit_field(MAX_PER_MINUTE)
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

    example = dict(limits={"monthly_tokens": 5_000_000})

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

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the limits beside the other fields, as the actions take them."""
        limits: dict[str, Any] = attrs.pop("limits", {})
        return attrs | limits


class NewKeyBody(KeyBody):
    """A new key."""

    example = dict(name="newsletter", scopes=["inference"], limits={"monthly_tokens": 2_000_000})

    name = TextField(max_length=actions.MAX_NAME, validators=[validate_name])


class RotateBody(StrictSerializer):
    """How long the old secret remains valid."""

    old_secret_hours = serializers.IntegerField(
        min_value=0, max_value=MAX_OLD_SECRET_HOURS, default=OLD_SECRET_HOURS, initial=24
    )


class NewLoginBody(StrictSerializer):
    """The program's name and the requested scopes."""

    name = TextField(
        max_length=60,
        validators=[validate_name],
        help_text="Name of the key to create.",
        initial="CLI on laptop",
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices, error_messages=WRONG_SCOPE),
        min_length=1,
        max_length=len(Scope),
        required=False,
        help_text="Requested scopes. The member who confirms chooses from these. Default: inference.",
        initial=["inference", "styles:read"],
    )


class BegunLoginObject(serializers.Serializer[Any]):
    """A login awaiting confirmation."""

    object = serializers.CharField(default="login", read_only=True)
    device_code = serializers.CharField(
        help_text="Secret code with which the program gets the key.", initial=DEVICE_CODE
    )
    user_code = serializers.CharField(
        help_text="Code to display. The member compares it in the browser.", initial="BCDF-GHJK"
    )
    verification_url = serializers.URLField(
        help_text="URL where a member confirms the login.", initial="https://polyscribe.example.com/connect/"
    )
    verification_url_complete = serializers.URLField(
        help_text="The same URL, including the code.",
        initial="https://polyscribe.example.com/connect/?code=BCDF-GHJK",
    )
    expires_in_s = serializers.IntegerField(help_text="Seconds until the codes expire.", initial=600)
    interval_s = serializers.IntegerField(help_text="Minimum polling interval.", initial=3)


class RedeemBody(StrictSerializer):
    """Which login."""

    device_code = TextField(max_length=100, initial=DEVICE_CODE)


class LoginStateObject(serializers.Serializer[Any]):
    """The state of a login."""

    object = serializers.CharField(default="login", read_only=True)
    status = serializers.ChoiceField(STATES, initial="approved")
    key = KeyWithSecret(allow_null=True, help_text="The API key. Returned only once, after approval.")


class KeyViewSet(WorkspaceViewSet):
    """The keys that people and programs of the workspace made."""

    tag, noun, nouns = "keys", "API key", "API keys"
    scope = Scope.KEYS_WRITE
    reads = {"list": "Return the keys, newest first, including revoked ones.", "retrieve": "Return a key."}
    queryset = ApiKey.objects.shown().select_related("created_by")
    serializer_class = KeyObject
    created_class = KeyWithSecret
    new_body = NewKeyBody
    body = KeyBody
    lookup_url_kwarg = "key_id"

    def create(self, body: dict[str, Any]) -> tuple[ApiKey, dict[str, str]]:
        """Return a new key with its secret, which is shown only once."""
        key, secret = actions.create_key(self.access, **body)
        return key, {"secret": secret}

    def partial_update(self, key: ApiKey, changes: dict[str, Any]) -> ApiKey:
        """Update the name, scopes, limits or expiration, effective immediately."""
        actions.edit_key(key, by=self.access, **changes)
        return key

    @described(name="revoke", summary="Revoke an API key", answer=KeyObject)
    def destroy(self, key: ApiKey) -> ApiKey:
        """Revoke a key permanently, effective immediately. Repeating the call has no effect."""
        actions.revoke_key(key, by=self.access)
        return key

    @post("Rotate an API key", body=RotateBody, answer=KeyWithSecret, status=201)
    def rotate(self, key: ApiKey, body: dict[str, Any]) -> tuple[ApiKey, dict[str, str]]:
        """Return a new key with the same name, scopes and limits. The old key expires after some hours."""
        old_lives = timedelta(hours=body["old_secret_hours"])
        new_key, secret = actions.rotate_key(key, by=self.access, old_lives=old_lives)
        return new_key, {"secret": secret}


class LoginViewSet(WorkspaceViewSet):
    """Log-ins of programs, which have no key yet. Requests are counted by the network that they come from."""

    tag, resource = "keys", "logins"
    scope = None
    authentication_classes = []
    serializer_class = BegunLoginObject
    new_body = NewLoginBody

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Allow a request while its client is within the rate limit."""
        APIView.initial(self, request, *args, **kwargs)
        network = network_of(request.META.get("REMOTE_ADDR") or "")
        limit = POLLS_PER_MINUTE if self.action == "redeem" else BEGUN_PER_MINUTE
        self._rate = rates.take(f"logins:{self.action}:{network}", limit)

    @described(
        name="begin",
        summary="Start a login in the browser",
        needs_key=False,
        is_post=False,
        is_repeatable=True,
    )
    def create(self, body: dict[str, Any]) -> dict[str, object]:
        """Return two codes: show one to the person, who confirms it in a browser, and use the other to get
        the key."""
        scopes = body.get("scopes") or default_scopes()
        address = self.request.META.get("REMOTE_ADDR") or ""
        begun = device_logins.begin_login(body["name"], scopes, address=address)
        page = f"{settings.SITE_URL}{reverse('keys:connect')}"
        return {
            "device_code": begun.device_code,
            "user_code": begun.user_code,
            "verification_url": page,
            "verification_url_complete": f"{page}?{urlencode({'code': begun.user_code})}",
            "expires_in_s": device_logins.LOGIN_LASTS_S,
            "interval_s": device_logins.POLL_EVERY_S,
        }

    @post(
        "Complete a login",
        detail=False,
        needs_key=False,
        is_post=False,
        is_repeatable=True,
        body=RedeemBody,
        answer=LoginStateObject,
    )
    def redeem(self, body: dict[str, Any]) -> Response:
        """Return whether the login was confirmed. Once it is, return the key with its secret, only once."""
        state = device_logins.redeem_login(body["device_code"])
        key = {**present(KeyObject, state.key), "secret": state.secret} if state.key else None
        return Response({"object": "login", "status": state.status, "key": key})
