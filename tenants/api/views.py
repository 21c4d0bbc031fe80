"""What every view of the management API has: access, a rate limit, scopes, ETags, a request id."""

import hashlib
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, cast

from django.db import transaction
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from rest_framework import authentication, exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from core import rates
from core.errors import NotAllowed, PreconditionFailed, TooManyRequests
from core.http import network_of, new_request_id
from core.rest.bodies import StrictParser, StrictSerializer
from core.rest.pages import CursorPages
from core.rest.problems import CONTENT_TYPE, answer_failure
from tenants.access import Access
from tenants.api import idempotency
from tenants.current import current_membership
from tenants.models import Scope, User
from tenants.models.keys import find_live_key
from tenants.roles import Permission, needed_by_scope

# Authentication: an API key, or the studio's session.

UNKNOWN_KEYS_PER_MINUTE = 60  # from one address


class BadKey(exceptions.AuthenticationFailed):
    """The key is unknown, or no longer valid."""

    default_code = "invalid_api_key"
    default_detail = "The API key is missing, malformed, expired or revoked. Create one on the API keys page."


class Suspended(NotAllowed):
    """This workspace is suspended. The operators of this site can say why."""

    code = "workspace_suspended"
    names_support = True


class WithoutWorkspace(NotAllowed):
    """You don't have a workspace yet. Create one on the site first."""

    code = "no_workspace"


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer sk-ps-…`. The key is looked up each time: a revoke holds from then on."""

    def authenticate(self, request: Request) -> tuple[User | None, Access] | None:
        """Return (None, access), or None for a request without the header. Raises BadKey, Suspended."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        address = request.META.get("REMOTE_ADDR") or None
        stranger = f"api:stranger:{network_of(address or '')}"
        key = find_live_key(secret.strip()) if scheme.lower() == "bearer" else None
        if key is None:
            rates.take(stranger, UNKNOWN_KEYS_PER_MINUTE)
            raise BadKey
        if key.tenant.suspended_at:
            raise Suspended
        return None, Access(tenant=key.tenant, key=key, address=address)

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"


class StudioAuthentication(authentication.SessionAuthentication):
    """The session of a person who is logged in to the studio; changes need the CSRF token."""

    def authenticate(self, request: Request) -> tuple[object, Access] | None:
        """Return (user, access), or None without a session. Raises WithoutWorkspace, Suspended."""
        session = super().authenticate(request)
        if session is None:
            return None
        user = session[0]
        membership = current_membership(request._request)
        if membership is None:
            raise WithoutWorkspace
        tenant = membership.tenant
        if tenant.suspended_at:
            raise Suspended
        address = request.META.get("REMOTE_ADDR") or None
        return user, Access(tenant=tenant, user=user, role=membership.role, address=address)


# Strong ETags: they tell whether an object is still as a client read it.

# What is shown once, or changes by use: an edit that read it before is still of the same object.
NOT_COMPARED = ("secret", "upload", "last_used_at")


def etag_of(data: Mapping[str, object]) -> str:
    """Return the ETag of an object as the API shows it."""
    compared = {name: value for name, value in data.items() if name not in NOT_COMPARED}
    encoder = JSONEncoder(sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(encoder.encode(compared).encode()).hexdigest()[:32]}"'


def require_match(request: Request, data: Mapping[str, object]) -> None:
    """Raise PreconditionFailed if the request names an ETag in `If-Match` that the object does not have."""
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    named = {one.strip() for one in wanted.split(",")}
    if etag_of(data) not in named:
        raise PreconditionFailed


SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = {"get", "head", "post", "put", "patch", "delete"}

type Handler = Callable[..., Response]


class WorkspaceView(APIView):
    """A view of one workspace's objects: those of another one are 404.

    Each handler is an `operation`, which names the scope that a key needs.
    """

    authentication_classes = [KeyAuthentication, StudioAuthentication]
    permission_classes = []
    parser_classes = [StrictParser]
    renderer_classes = [JSONRenderer]
    pagination_class = CursorPages
    ordering: ClassVar[tuple[str, ...]] = ("-created_at", "-pk")  # of lists: newest first

    def __init_subclass__(cls) -> None:
        """Raise TypeError for a handler that says no scope: it would be open to every key."""
        super().__init_subclass__()
        for method in METHODS & vars(cls).keys():
            if not hasattr(vars(cls)[method], "scope"):
                raise TypeError(f"{cls.__name__}.{method} is no operation.")

    @property
    def access(self) -> Access:
        """Who calls."""
        return cast(Access, self.request.auth)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let only those in who have a key with the scope, or a session, and requests left."""
        super().initial(request, *args, **kwargs)
        if not isinstance(request.auth, Access):
            raise exceptions.NotAuthenticated
        handler = getattr(self, (request.method or "").lower(), None)
        scope: Scope | None = getattr(handler, "scope", None)
        if scope:
            self.access.require(scope)
        needed: Permission | None = getattr(handler, "permission", None)
        is_change = request.method not in SAFE
        self.access.require_permission(needed or needed_by_scope(scope, is_change=is_change))

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        """Give the request an id, which every answer and every log line repeats."""
        request._encoding = None  # addresses are UTF-8, whatever charset a client names for its body
        api_request = super().initialize_request(request, *args, **kwargs)
        api_request.request_id = new_request_id()  # type: ignore[attr-defined]
        self.rate: rates.Rate | None = None  # DEFAULT_THROTTLE_CLASSES sets it
        return api_request

    def get_exception_handler(self) -> Any:
        """Return what turns exceptions into problem documents."""
        return answer_failure

    def handle_exception(self, exc: Exception) -> Response:
        """Answer a failure, with what is left of the rate."""
        rate = exc.facts.get("rate") if isinstance(exc, TooManyRequests) else None
        if isinstance(rate, rates.Rate):
            self.rate = rate
        return super().handle_exception(exc)

    def finalize_response(self, request: Any, response: HttpResponseBase, *args: Any, **kwargs: Any) -> Any:
        """Add the headers that every answer has."""
        final = super().finalize_response(request, cast(Response, response), *args, **kwargs)
        request_id = getattr(request, "request_id", "")
        final["x-request-id"] = request_id
        final["Cache-Control"] = "no-store"
        if self.rate:
            for name, value in self.rate.headers().items():
                final[name] = value
        is_problem = isinstance(final, Response) and final.content_type == CONTENT_TYPE
        if is_problem and isinstance(final.data, dict):
            final.data["request_id"] = request_id
        return final

    def read_body(self, serializer: type[StrictSerializer], **context: Any) -> dict[str, Any]:
        """Return the checked body. Raises ValidationError naming each field that is not valid."""
        form = serializer(data=self.request.data, context={"access": self.access, **context})
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def read_query(self, serializer: type[StrictSerializer], **context: Any) -> dict[str, Any]:
        """Return the checked parameters of the address, without those of paging."""
        given = {
            name: value
            for name, value in self.request.query_params.items()
            if name not in ("cursor", "limit")
        }
        form = serializer(data=given, context={"access": self.access, **context})
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    def answer_object(self, data: dict[str, object], *, status: int = 200) -> Response:
        """Return one object with its ETag."""
        return Response(data, status=status, headers={"ETag": etag_of(data)})

    def answer_page(
        self, rows: QuerySet[Any], present: Callable[[list[Any]], list[dict[str, object]]]
    ) -> Response:
        """Return one page of a list. `present` turns its rows into objects."""
        pages = self.pagination_class()
        page = pages.paginate_queryset(rows, self.request, view=self)
        return pages.get_paginated_response(present(list(page or [])))

    def order_by(self, request: Request) -> tuple[str, ...]:
        """Return the order of the list."""
        return self.ordering

    def require_match(self, data: dict[str, object]) -> None:
        """Raise PreconditionFailed if `If-Match` names another state of the object than `data`."""
        require_match(self.request, data)


def idempotent(handler: Handler) -> Handler:
    """Return a POST handler that runs in one transaction, and once for each Idempotency-Key."""

    @wraps(handler)
    def handle_once(view: WorkspaceView, request: Request, *args: Any, **kwargs: Any) -> Response:
        name = request.headers.get("Idempotency-Key")
        with transaction.atomic():
            if name is None:
                return handler(view, request, *args, **kwargs)
            digest = idempotency.digest_request(
                request.method or "", request.get_full_path(), _raw_body(request)
            )
            once = idempotency.Idempotent(view.access, name, digest)
            kept = once.find_answer()
            if kept:
                headers = {"idempotent-replayed": "true"}
                if isinstance(kept.body, dict):
                    headers["ETag"] = etag_of(kept.body)
                return Response(kept.body, status=kept.status, headers=headers)
            response = handler(view, request, *args, **kwargs)
            once.keep(idempotency.StoredAnswer(response.status_code, response.data))
            return response

    handle_once.is_idempotent = True  # type: ignore[attr-defined]
    return handle_once


def repeatable(handler: Handler) -> Handler:
    """Mark a POST handler that does nothing the second time, so that no answer need be kept for it.

    It runs in no transaction: for actions that ask the storage, while which no row may be locked.
    """
    handler.is_idempotent = True  # type: ignore[attr-defined]
    return handler


def _raw_body(request: Request) -> bytes:
    # Before REST framework parses it: a body can be read once.
    return bytes(request._request.body)
