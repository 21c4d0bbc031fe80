"""Logins of a command line: a code is shown there, and a member confirms it in a browser (RFC 8628).

A confirmed login ends in a normal API key with the scopes that the member chose. Its secret is made when the
command line asks for it, so it is stored nowhere. Valkey keeps a login for ten minutes, under the digests of
its two codes; decisions/0046 says why.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import choice, token_urlsafe
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.utils.crypto import salted_hmac

from core import valkey
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from keys.actions import create_key, grantable_scopes
from tenants.access import Access, access_of_person
from tenants.models import ApiKey, Tenant, User
from tenants.roles import Permission

LOGIN_LASTS_S = 600
POLL_EVERY_S = 3
# Without vowels no word comes up by chance, and no letter looks like a digit (RFC 8628, 6.1).
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_HALF = 4  # letters: 20 ** 8 codes, of which a person may try ten a minute
PENDING, APPROVED, DENIED = "pending", "approved", "denied"
DECISION = "decision"  # the field that is written once


class LoginOver(NotFound):
    """This login request is unknown, already answered or more than ten minutes old. Run `polyscribe login`
    again."""

    code = "login_not_found"


class NoScopeChosen(Invalid):
    """Choose at least one permission for the key from those you can grant."""

    code = "no_scope"


class TooManyCodes(Conflict):
    """Too many attempts. Wait a minute, then enter the code shown in your terminal."""


@dataclass(frozen=True)
class BegunLogin:
    """The two codes of a new login: one for the program, one that a person reads and types."""

    device_code: str
    user_code: str


@dataclass(frozen=True)
class WaitingLogin:
    """A login that waits for a member: what its program calls itself, asks for, and where it stands."""

    name: str
    scopes: list[str]
    address: str
    begun_at: datetime
    digest: str


@dataclass(frozen=True)
class LoginState:
    """How a login stands, and the new key with its secret once it was approved."""

    status: str
    key: ApiKey | None = None
    secret: str = ""


def begin_login(name: str, scopes: Sequence[str], *, address: str) -> BegunLogin:
    """Return a new login that waits for a member. Nothing says yet which workspace it is for."""
    device_code = token_urlsafe(32)
    user_code = new_user_code()
    digest = _digest(device_code)
    facts: dict[Any, Any] = {
        "name": name,
        "scopes": json.dumps(list(scopes)),
        "address": address,
        "begun_at": datetime.now(UTC).isoformat(),
    }
    pipeline = valkey.client().pipeline(transaction=True)
    pipeline.hset(valkey.login_key(digest), mapping=facts)
    pipeline.expire(valkey.login_key(digest), LOGIN_LASTS_S)
    pipeline.set(valkey.login_code_key(_digest(user_code)), digest, ex=LOGIN_LASTS_S)
    pipeline.execute()
    return BegunLogin(device_code, user_code)


def new_user_code() -> str:
    """Return a random code as people read it: BCDF-GHJK."""
    halves = ["".join(choice(CODE_LETTERS) for _ in range(CODE_HALF)) for _ in range(2)]
    return "-".join(halves)


def find_login(typed_code: str) -> WaitingLogin:
    """Return the login of a code that a person typed. Raises LoginOver."""
    letters = "".join(letter for letter in typed_code.upper() if letter in CODE_LETTERS)
    code = f"{letters[:CODE_HALF]}-{letters[CODE_HALF:]}"
    digest = valkey.client().get(valkey.login_code_key(_digest(code)))
    facts = _read(str(digest)) if digest else {}
    if "name" not in facts or DECISION in facts:
        raise LoginOver
    return WaitingLogin(
        name=facts["name"],
        scopes=json.loads(facts["scopes"]),
        address=facts["address"],
        begun_at=datetime.fromisoformat(facts["begun_at"]),
        digest=str(digest),
    )


def approve_login(login: WaitingLogin, scopes: Sequence[str], *, by: Access) -> None:
    """Let a login become a key of a member's workspace with some of the scopes that the member may give.

    Raises RoleNotAllowed, NoScopeChosen; LoginOver if it was decided meanwhile.
    """
    by.require_permission(Permission.MAKE_KEYS)
    user = cast(User, by.user)
    chosen = [scope.value for scope in grantable_scopes(by) if scope in scopes]
    if not chosen or len(chosen) != len(set(scopes)):
        raise NoScopeChosen
    # Decided first, for no row may be locked while Valkey is asked. The key's making has a line of its own.
    _decide(login, {"state": APPROVED, "tenant": str(by.tenant.pk), "user": user.pk, "scopes": chosen})
    with transaction.atomic():
        by.audit("login.approved", by.tenant, name=login.name, after={"scopes": chosen})


def deny_login(login: WaitingLogin, *, by: Access) -> None:
    """Refuse a login. Raises RoleNotAllowed; LoginOver if it was decided meanwhile."""
    by.require_permission(Permission.MAKE_KEYS)
    _decide(login, {"state": DENIED})
    with transaction.atomic():
        by.audit("login.denied", by.tenant, name=login.name)


def redeem_login(device_code: str) -> LoginState:
    """Return how a login stands; an approved one becomes its key, once. Raises LoginOver, TooManyKeys."""
    digest = _digest(device_code)
    facts = _read(digest)
    if "name" not in facts:
        raise LoginOver
    if DECISION not in facts:
        return LoginState(PENDING)
    if not valkey.client().delete(valkey.login_key(digest)):
        raise LoginOver  # the same program asked twice at once
    decision = json.loads(facts[DECISION])
    return _make_key(facts, decision) if decision["state"] == APPROVED else LoginState(DENIED)


def _make_key(facts: dict[str, str], decision: dict[str, Any]) -> LoginState:
    """Create the key of an approved login, if the member who approved it may still do so."""
    tenant = Tenant.objects.filter(pk=UUID(decision["tenant"]), suspended_at=None, deleted_at=None).first()
    user = User.objects.filter(pk=decision["user"], is_active=True).first()
    if tenant is None or user is None:
        raise LoginOver
    by = access_of_person(user, tenant, address=facts["address"] or None)
    try:
        key, secret = create_key(by, name=facts["name"], is_numbered=True, scopes=decision["scopes"])
    except NotAllowed as error:
        raise LoginOver from error
    return LoginState(APPROVED, key, secret)


def _decide(login: WaitingLogin, decision: dict[str, object]) -> None:
    """Write what was decided, if nothing was before. Raises LoginOver."""
    key = valkey.login_key(login.digest)
    pipeline = valkey.client().pipeline(transaction=True)
    pipeline.hsetnx(key, DECISION, json.dumps(decision))
    # Also of one that expired at this moment: it has no name, so it is over.
    pipeline.expire(key, LOGIN_LASTS_S)
    is_first, _ = pipeline.execute()
    if not is_first:
        raise LoginOver


def _read(digest: str) -> dict[str, str]:
    return cast("dict[str, str]", valkey.client().hgetall(valkey.login_key(digest)))


def _digest(code: str) -> str:
    """Return a code's digest under the site's secret: a short code could be found from a plain one."""
    return salted_hmac("device login", code, algorithm="sha256").hexdigest()
