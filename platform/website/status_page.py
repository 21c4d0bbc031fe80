"""The public page about the service's state. It names no workspace, and asks each part at most every 5 s."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Literal

import redis
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET
from psycopg_pool import PoolTimeout

from adapters.models import Engine
from adapters.object_store import is_storage_answering
from core import valkey
from core.cached_result import CachedResult
from inference.public import read_backlog
from operations.monitoring.broker import read_queue_lengths

MAX_AGE_S = 5.0
QUEUES = ("housekeeping", "uploads", "reading", "webhooks", "billing")
MAX_WAITING = 200  # tasks: beat sends about two a second, so nobody has worked for a minute and more
MAX_USAGE_LAG_S = 60
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout, redis.RedisError)

type State = Literal["up", "slow", "down"]


@dataclass(frozen=True)
class Part:
    """One part of the service, and how it does, in words."""

    name: str | Promise
    state: State
    sentence: str | Promise  # read in several languages, as it is kept for a while


@dataclass(frozen=True)
class Status:
    """How all parts do at a moment."""

    parts: list[Part]
    at: datetime

    @property
    def state(self) -> State:
        """The worst of the parts' states."""
        states = [part.state for part in self.parts]
        if "down" in states:
            return "down"
        return "slow" if "slow" in states else "up"


def ask_all() -> Status:
    """Return how all parts do just now."""
    return Status([ask() for ask in PARTS], timezone.now())


@cache
def board() -> CachedResult[Status]:
    """Return the process's latest status."""
    return CachedResult(ask_all, max_age_s=MAX_AGE_S)


@require_GET
def show_status(request: HttpRequest) -> HttpResponse:
    """Show how the service does. It needs no session, so it also answers while the database is away."""
    answer = render(request, "status.html", {"status": board().read()})
    answer.headers.setdefault("Cache-Control", f"public, max-age={MAX_AGE_S:.0f}")
    return answer


def ask_database() -> Part:
    """Ask PostgreSQL, which has accounts, styles and the ledger."""
    name = _("Pages and accounts")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except UNREACHABLE:
        return Part(
            name, "down", _("The database isn't responding. Pages fail; answers in progress continue.")
        )
    return Part(name, "up", _("Pages load and changes are saved."))


def ask_limits() -> Part:
    """Ask Valkey, without which no request is let in."""
    name = "API"
    try:
        valkey.client().ping()
    except UNREACHABLE:
        return Part(name, "down", _("Limits can't be checked, so every request fails with 503."))
    return Part(name, "up", _("Requests are accepted and limits are checked."))


def ask_engines() -> Part:
    """Ask what the engines' workers reported last."""
    name = _("Model servers")
    try:
        known = Engine.objects.in_service().count()
        answering = Engine.objects.answering().count()
    except UNREACHABLE:
        return Part(name, "slow", _("Unknown: the database isn't responding."))
    if not answering:
        return Part(
            name, "down", _("No model server is responding, so no text can be generated at the moment.")
        )
    if answering < known:
        return Part(
            name,
            "slow",
            format_lazy(
                _("{answering} of {known} model servers are responding. Requests may take longer."),
                answering=answering,
                known=known,
            ),
        )
    return Part(name, "up", _("All model servers are responding."))


def ask_storage() -> Part:
    """Ask S3, which has the adapters' files."""
    name = _("Uploads")
    if not is_storage_answering():
        return Part(
            name, "down", _("The storage isn't responding, so uploads fail. Loaded styles keep working.")
        )
    return Part(name, "up", _("Uploads are accepted and checked."))


def ask_workers() -> Part:
    """Ask how much waits for the workers, and how old the oldest usage is that is not booked yet."""
    name = _("Background work")
    try:
        waiting = max(read_queue_lengths(QUEUES).values())
        lag_s = int(read_backlog(valkey.client()).oldest_event_s)
    except UNREACHABLE:
        return Part(name, "down", _("The queue isn't responding. Nothing is lost; work resumes later."))
    if lag_s > MAX_USAGE_LAG_S:
        return Part(
            name,
            "slow",
            format_lazy(
                _("Usage is delayed by about {count} minutes. Nothing is lost."), count=lag_s // 60 + 1
            ),
        )
    if waiting > MAX_WAITING:
        return Part(name, "slow", _("Upload checks, webhooks and emails are slower than usual."))
    return Part(name, "up", _("Usage, upload checks, webhooks and emails are up to date."))


PARTS: tuple[Callable[[], Part], ...] = (ask_limits, ask_engines, ask_database, ask_storage, ask_workers)
