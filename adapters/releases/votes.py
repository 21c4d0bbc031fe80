"""Blind votes: rounds that are begun and voted on, and what all votes of a workspace say together.

A round says which version is on which side, at random. Its voter reads the names after the vote.
"""

import secrets
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext

from adapters.errors import (
    AlreadyVoted,
    BadVote,
    BadVoteCount,
    NotEnoughVotes,
    NotServing,
    RoundNotFound,
    SameSides,
    StyleNotFound,
    TooManyRounds,
    VersionNotFound,
)
from adapters.models import AdapterVersion, BlindVote, Status, Style
from adapters.models.votes import BlindVoteQuerySet
from adapters.releases.bradley_terry import Chance, Strengths
from tenants.models import Tenant, User

OPEN_FOR = timedelta(days=1)
ROUNDS_A_DAY = 1000  # of one workspace, so that its table stays small between two prunings
SHOWN_VERSIONS = 50  # those with the most votes
MOST_ASKED_FOR = 100

type Wins = dict[tuple[object, object], float]


@dataclass(frozen=True)
class Side:
    """A version as a workspace names it."""

    name: str
    model: str


@dataclass(frozen=True)
class Standing:
    """How a version does by the votes it was in."""

    number: int
    side: Side
    votes: int
    chance: Chance  # against one of middling strength
    against_live: Chance | None = None


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
    return found.version_on(side).name_for(tenant_id)


def cast_vote(held: BlindVote, choice: str) -> None:
    """Vote on a round, once. Raises BadVote or AlreadyVoted."""
    if choice not in BlindVote.Choice.values:
        raise BadVote
    now = timezone.now()
    # One UPDATE with its condition: of two clicks one counts.
    is_cast = BlindVote.objects.open().filter(pk=held.pk).update(choice=choice, voted_at=now)
    if not is_cast:
        raise AlreadyVoted
    held.choice, held.voted_at = choice, now


def show_side(version: AdapterVersion, tenant: Tenant) -> Side:
    """Return a version as a workspace reads it. Its style and owner are read with it."""
    name = version.style.show_to(tenant.pk).name
    if version.style.owner_id == tenant.pk:
        name = gettext("{shown_name}, version {version}").format(shown_name=name, version=version.number)
    return Side(name, version.name_for(tenant.pk))


def standings(tenant: Tenant) -> list[Standing]:
    """Return how the versions do that a workspace voted on, the strongest first; two queries."""
    wins, votes = _count(tenant)
    shown = [version_id for version_id, _ in votes.most_common(SHOWN_VERSIONS)]
    versions = AdapterVersion.objects.select_related("style__owner").in_bulk(shown)
    fitted = Strengths(shown, wins)
    found = []
    for pk in shown:
        version = versions.get(pk)
        if version:
            chance = fitted.chance_on_average(pk)
            found.append(Standing(version.number, show_side(version, tenant), votes[pk], chance))
    return sorted(found, key=lambda standing: -standing.chance.percent)


def standings_of(style: Style) -> list[Standing]:
    """Return how a style's own versions do by its owner's votes, each against the live one; two queries."""
    wins, votes = _count(style.owner)
    own = style.versions.filter(pk__in=list(votes)).order_by("-number")
    counted = [version_id for version_id, _ in votes.most_common(SHOWN_VERSIONS)]
    fitted = Strengths(counted, wins)
    found = []
    for version in own:
        if version.pk not in counted:
            continue
        version.style = style
        side = show_side(version, style.owner)
        has_other = style.live_version_id in counted and version.pk != style.live_version_id
        against_live = fitted.chance(version.pk, style.live_version_id) if has_other else None
        chance = fitted.chance_on_average(version.pk)
        found.append(Standing(version.number, side, votes[version.pk], chance, against_live))
    return found


def missing_votes(style: Style, versions: Sequence[AdapterVersion]) -> dict[UUID, int]:
    """Return, by version, how many votes a promotion still asks for; one query where it asks."""
    needed = style.votes_before_promotion
    live_id = style.live_version_id
    if not needed or live_id is None:
        return {}
    cast = BlindVote.objects.cast().filter(tenant=style.owner_id)
    counts: Counter[UUID] = Counter()
    for left, right, count in _group(cast, "left", "right"):
        if live_id in (left, right):
            counts[right if left == live_id else left] += count
    others = [version.pk for version in versions if version.pk != live_id]
    return {pk: needed - counts[pk] for pk in others if counts[pk] < needed}


def require_votes(style: Style, version: AdapterVersion) -> None:
    """Raise NotEnoughVotes if a style asks for more votes before it lets a version answer."""
    missing = missing_votes(style, [version]).get(version.pk)
    if missing and style.live_version:
        needed = style.votes_before_promotion
        raise NotEnoughVotes(
            number=version.number, count=needed - missing, needed=needed, live=style.live_version.number
        )


def ask_for_votes(style: Style, count: int) -> None:
    """Set how many votes a promotion asks for; 0 for none. Raises BadVoteCount."""
    if not 0 <= count <= MOST_ASKED_FOR:
        raise BadVoteCount(limit=MOST_ASKED_FOR)
    Style.objects.filter(pk=style.pk).update(votes_before_promotion=count)
    style.votes_before_promotion = count


def _count(tenant: Tenant) -> tuple[Wins, Counter[UUID]]:
    """Return (preferred, other) → votes, and how many votes each version was in."""
    wins: Wins = defaultdict(float)
    votes: Counter[UUID] = Counter()
    cast = BlindVote.objects.cast().filter(tenant=tenant)
    for left, right, choice, count in _group(cast, "left", "right", "choice"):
        votes[left] += count
        votes[right] += count
        share = {BlindVote.Choice.LEFT: 1.0, BlindVote.Choice.RIGHT: 0.0}.get(choice, 0.5)
        wins[left, right] += share * count
        wins[right, left] += (1 - share) * count
    return wins, votes


def _group(rounds: BlindVoteQuerySet, *columns: str) -> Any:
    """Return the values of some columns, with how many rounds have them."""
    return rounds.order_by().values_list(*columns).annotate(count=Count("pk"))
