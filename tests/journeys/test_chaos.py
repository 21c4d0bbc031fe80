"""The short form of `make trial NAME=chaos`, beside the stack that already runs."""

import pytest

from tests.journeys.conftest import kill
from trials.chaos import trial as chaos
from trials.harness import beside_running_stack

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

KILLS = len({*chaos.OTHERS, "engine"})  # each part once


def test_nothing_is_lost_doubled_or_left_held_when_every_part_is_killed_under_load():
    context = beside_running_stack("chaos", kill)
    verdict = chaos.trial(context, kills=KILLS)
    assert {killed.part for killed in verdict.kills} == {*chaos.OTHERS, "engine"}
    assert verdict.is_good, f"{verdict.line()}: see {context.notes}/verdict.json"
