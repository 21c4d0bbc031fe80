"""Authentication: an API key, or the studio's session."""

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from core import rates
from core.addresses import network_of
from core.errors import NotAllowed
from tenants.access import Access
from tenants.current import current_membership
from tenants.key_secrets import find_live_key
from tenants.models import User

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
