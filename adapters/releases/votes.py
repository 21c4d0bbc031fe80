"""Blind votes: a round puts each version on a side at random. Its voter reads the names after the vote."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from adapters.errors import (
    AlreadyVoted,
    BadVote,
    NotServing,
    RoundNotFound,
    SameSides,
    StyleNotFound,
    TooManyRounds,
    VersionNotFound,
)
from adapters.models import AdapterVersion, BlindVote, Status, Style
from tenants.access import Access
from tenants.models import Tenant, User

OPEN_FOR = timedelta(days=1)
ROUNDS_A_DAY = 1000  # of one workspace, so that its table stays small between two prunings


@dataclass(frozen=True)
class Side:
    """A version as a workspace names it."""

    name: str
    model: str


def find_side(tenant: Tenant, model: str) -> AdapterVersion:
    """Return the version that a model's name asks for.

    Raises StyleNotFound, VersionNotFound or NotServing.
    """
    name, _, written = model.partition("@")
    usable = Style.objects.usable_by(tenant.pk).answering(tenant.pk)
    named = usable.filter(slug=name.rpartition("/")[2]).select_related("live_version", "approved_version")
    style = next((one for one in named if one.model_name == name), None)
    if style is None:
        raise StyleNotFound
    version = _find_numbered(tenant, style, written) if written else style.show_to(tenant.pk).live_version
    if version is None:
        raise StyleNotFound
    return version


def _find_numbered(tenant: Tenant, style: Style, written: str) -> AdapterVersion:
    # More digits do not fit PostgreSQL's integer.
    is_number = written.isdecimal() and len(written) < 10
    version = style.versions.filter(number=written).first() if is_number else None
    if version is None or style.owner_id != tenant.pk:
        raise VersionNotFound(number=written[:10])
    if version.status != Status.SERVING:
        raise NotServing(number=version.number)
    return version


def begin_round(tenant: Tenant, voter: User, first: str, second: str) -> BlindVote:
    """Return a new round of two models, each on a side at random.

    Raises what `find_side` does, SameSides or TooManyRounds.
    """
    pair = [find_side(tenant, first), find_side(tenant, second)]
    if pair[0] == pair[1]:
        raise SameSides
    begun = BlindVote.objects.filter(tenant=tenant, begun_at__gt=timezone.now() - OPEN_FOR)
    if begun.count() >= ROUNDS_A_DAY:
        raise TooManyRounds(limit=ROUNDS_A_DAY)
    # Not from a seeded generator: a voter who could foresee the sides would not vote blind.
    secrets.SystemRandom().shuffle(pair)
    return BlindVote.objects.create(tenant=tenant, voter=voter, left=pair[0], right=pair[1])


def find_round(tenant_id: UUID, voter: User, round_id: UUID) -> BlindVote:
    """Return a person's own round. Raises RoundNotFound."""
    rounds = BlindVote.objects.select_related("left__style__owner", "right__style__owner")
    found = rounds.filter(tenant=tenant_id, voter=voter, pk=round_id).first()
    if found is None:
        raise RoundNotFound
    return found


def find_side_model(tenant_id: UUID, voter: User, round_id: UUID, side: str) -> str:
    """Return what answers on a side of an open round. Raises RoundNotFound or AlreadyVoted."""
    if side not in (BlindVote.Choice.LEFT, BlindVote.Choice.RIGHT):
        raise RoundNotFound
    found = find_round(tenant_id, voter, round_id)
    if found.choice:
        raise AlreadyVoted
    version = found.left if side == found.Choice.LEFT else found.right
    return version.name_for(tenant_id)


@transaction.atomic
def cast_vote(access: Access, held: BlindVote, choice: str) -> None:
    """Vote on a round, once. Raises BadVote or AlreadyVoted."""
    if choice not in BlindVote.Choice.values:
        raise BadVote
    now = timezone.now()
    # One UPDATE with its condition: of two clicks one counts.
    is_cast = BlindVote.objects.open().filter(pk=held.pk).update(choice=choice, voted_at=now)
    if not is_cast:
        raise AlreadyVoted
    held.choice, held.voted_at = choice, now
    access.audit("vote.cast", held, name=f"{held.left} or {held.right}", after={"choice": choice})


def show_side(version: AdapterVersion, tenant: Tenant) -> Side:
    """Return a version as a workspace reads it. Its style and owner are read with it."""
    name = version.style.show_to(tenant.pk).name
    if version.style.owner_id == tenant.pk:
        name = gettext("{shown_name}, version {version}").format(shown_name=name, version=version.number)
    return Side(name, version.name_for(tenant.pk))
