"""Blind votes: how versions do by them, and how many a promotion asks for. People vote on a page."""

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import StyleAddress, find_own_style
from adapters.api.examples import VOTES_EXAMPLE
from adapters.api.views import StyleApiView, read_operation, write_operation
from adapters.models import Style
from adapters.releases import votes
from adapters.releases.bradley_terry import Chance
from core.rest.bodies import StrictSerializer


class VotesBody(StrictSerializer):
    """The number of votes a promotion requires."""

    before_promotion = serializers.IntegerField(min_value=0, max_value=votes.MOST_ASKED_FOR)


class ChanceObject(serializers.Serializer[Any]):
    """How often a version would be preferred, in percent, with a 95% confidence interval."""

    percent = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class StandingObject(serializers.Serializer[Any]):
    """A version in blind votes."""

    version = serializers.IntegerField()
    votes = serializers.IntegerField()
    on_average = ChanceObject(help_text="Relative to an average version.")
    against_live = ChanceObject(allow_null=True)


class VotesObject(serializers.Serializer[Any]):
    """The results of blind votes on a style's versions."""

    object = serializers.CharField(default="votes", read_only=True)
    before_promotion = serializers.IntegerField(
        help_text="Blind votes required against the live version. 0 for none."
    )
    versions = StandingObject(many=True)


class VotesView(StyleApiView):
    """The blind votes on a style."""

    @read_operation(
        "votes.get",
        "Get the results of blind votes",
        answer=VotesObject,
        example=VOTES_EXAMPLE,
        tag="versions",
    )
    def get(self, request: Request, style: StyleAddress) -> Response:
        """Return how often each version of the style is preferred, estimated from the workspace's blind
        votes."""
        return self.answer_object(_present(find_own_style(self.access, style)))

    @write_operation(
        "votes.ask",
        "Set the blind votes required to promote",
        body=VotesBody,
        answer=VotesObject,
        example=VOTES_EXAMPLE,
        body_example={"before_promotion": 5},
        tag="versions",
    )
    @transaction.atomic
    def put(self, request: Request, style: StyleAddress) -> Response:
        """Set how many blind votes a version needs before it can be promoted."""
        own = find_own_style(self.access, style)
        actions.ask_for_votes(self.access, own, self.read_body(VotesBody)["before_promotion"])
        return self.answer_object(_present(own))


def _present(style: Style) -> dict[str, Any]:
    standings = [
        {
            "version": standing.number,
            "votes": standing.votes,
            "on_average": _present_chance(standing.chance),
            "against_live": _present_chance(standing.against_live) if standing.against_live else None,
        }
        for standing in votes.standings_of(style)
    ]
    return {"object": "votes", "before_promotion": style.votes_before_promotion, "versions": standings}


def _present_chance(chance: Chance) -> dict[str, float]:
    return {"percent": round(chance.percent, 1), "low": round(chance.low, 1), "high": round(chance.high, 1)}
