"""Logins of a command line, without a key: begin one, and ask for its key once a member confirmed it."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import rates
from core.addresses import network_of
from core.names import validate_name
from core.rest.bodies import StrictSerializer, TextField
from tenants.api_keys import device_logins
from tenants.models import Scope, default_scopes
from tenants.rest import WorkspaceView, operation, present_key, repeatable
from website.api.keys import SECRET_EXAMPLE, WRONG_SCOPE, KeyWithSecret

BEGUN_PER_MINUTE = 10  # from one network
POLLS_PER_MINUTE = 120  # from one network; a program asks twenty times
STATES = (device_logins.PENDING, device_logins.APPROVED, device_logins.DENIED)


class NewLoginBody(StrictSerializer):
    """The program's name and the requested scopes."""

    name = TextField(max_length=60, validators=[validate_name], help_text="Name of the key to create.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(Scope.choices, error_messages=WRONG_SCOPE),
        min_length=1,
        max_length=len(Scope),
        required=False,
        help_text="Requested scopes. The member who confirms chooses from these. Default: inference.",
    )


class BegunLoginObject(serializers.Serializer[Any]):
    """A login awaiting confirmation."""

    object = serializers.CharField(default="login", read_only=True)
    device_code = serializers.CharField(help_text="Secret code with which the program gets the key.")
    user_code = serializers.CharField(help_text="Code to display. The member compares it in the browser.")
    verification_url = serializers.URLField(help_text="URL where a member confirms the login.")
    verification_url_complete = serializers.URLField(help_text="The same URL, including the code.")
    expires_in_s = serializers.IntegerField()
    interval_s = serializers.IntegerField(help_text="Minimum polling interval.")


class RedeemBody(StrictSerializer):
    """Which login."""

    device_code = TextField(max_length=100)


class LoginStateObject(serializers.Serializer[Any]):
    """The state of a login."""

    object = serializers.CharField(default="login", read_only=True)
    status = serializers.ChoiceField(STATES)
    key = KeyWithSecret(allow_null=True, help_text="The API key. Returned only once, after approval.")


BEGUN_EXAMPLE = {
    "object": "login",
    "device_code": "kV3x" + "0" * 39,
    "user_code": "BCDF-GHJK",
    "verification_url": "https://polyscribe.example.com/connect/",
    "verification_url_complete": "https://polyscribe.example.com/connect/?code=BCDF-GHJK",
    "expires_in_s": 600,
    "interval_s": 3,
}


class OpenView(WorkspaceView):
    """A view that needs no key. Requests are counted by the network that they come from."""

    authentication_classes = []
    limit_per_minute: int

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Allow a request while its client is within the rate limit."""
        APIView.initial(self, request, *args, **kwargs)
        network = network_of(request.META.get("REMOTE_ADDR") or "")
        self._rate = rates.take(f"{type(self).__name__}:{network}", self.limit_per_minute)


class LoginsView(OpenView):
    """New logins."""

    limit_per_minute = BEGUN_PER_MINUTE

    @operation(
        "logins.begin",
        "Start a login in the browser",
        scope=None,
        needs_key=False,
        body=NewLoginBody,
        answer=BegunLoginObject,
        status=201,
        example=BEGUN_EXAMPLE,
        body_example={"name": "CLI on laptop", "scopes": ["inference", "styles:read"]},
        tag="keys",
    )
    @repeatable
    def post(self, request: Request) -> Response:
        """Return two codes: show one to the person, who confirms it in a browser, and use the other to get
        the key."""
        body = self.read_body(NewLoginBody)
        scopes = body.get("scopes") or default_scopes()
        address = request.META.get("REMOTE_ADDR") or ""
        begun = device_logins.begin_login(body["name"], scopes, address=address)
        page = f"{settings.SITE_URL}{reverse('website:connect')}"
        shown = {
            "object": "login",
            "device_code": begun.device_code,
            "user_code": begun.user_code,
            "verification_url": page,
            "verification_url_complete": f"{page}?{urlencode({'code': begun.user_code})}",
            "expires_in_s": device_logins.LOGIN_LASTS_S,
            "interval_s": device_logins.POLL_EVERY_S,
        }
        return Response(shown, status=201)


class RedeemLoginView(OpenView):
    """The key of a login."""

    limit_per_minute = POLLS_PER_MINUTE

    @operation(
        "logins.redeem",
        "Complete a login",
        scope=None,
        needs_key=False,
        body=RedeemBody,
        answer=LoginStateObject,
        example={"object": "login", "status": "approved", "key": SECRET_EXAMPLE},
        body_example={"device_code": BEGUN_EXAMPLE["device_code"]},
        tag="keys",
    )
    @repeatable
    def post(self, request: Request) -> Response:
        """Return whether the login was confirmed. Once it is, return the key with its secret, only once."""
        state = device_logins.redeem_login(self.read_body(RedeemBody)["device_code"])
        key = {**present_key(state.key), "secret": state.secret} if state.key else None
        return Response({"object": "login", "status": state.status, "key": key})
