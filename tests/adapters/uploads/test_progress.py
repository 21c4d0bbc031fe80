from datetime import UTC, datetime, timedelta

from adapters.models import AdapterVersion, Status, VersionStep
from adapters.uploads.sessions import LABELS, steps_of

START = datetime(2026, 11, 12, 12, tzinfo=UTC)
WAY = [Status.UPLOADING, Status.UPLOADED, Status.VALID, Status.PUSHING, Status.SERVING]


def shown(*statuses, note=""):
    history = [
        VersionStep(status=status, at=START + timedelta(minutes=at)) for at, status in enumerate(statuses)
    ]
    return steps_of(AdapterVersion(status=statuses[-1], note=note), history)


def test_every_life_is_five_steps():
    for statuses, states in (
        (WAY[:1], "current next next next next"),
        (WAY[:2], "done done current next next"),
        (WAY[:3], "done done done current next"),
        (WAY[:4], "done done done current next"),
        (WAY, "done done done done done"),
        ([*WAY[:2], Status.REJECTED], "done done failed next next"),
        ([*WAY[:1], Status.REJECTED], "failed next next next next"),
        ([*WAY[:4], Status.FAILED], "done done done failed next"),
        ([*WAY, Status.RETIRED], "done done done done done"),
        ([*WAY[:4], Status.RETIRED], "done done done next next"),
        ([*WAY[:4], Status.FAILED, Status.VALID], "done done done current next"),
    ):
        steps = shown(*statuses)
        assert tuple(step.label for step in steps) == LABELS
        assert " ".join(step.state for step in steps) == states


def test_the_present_step_says_what_it_waits_for_or_what_it_does():
    assert shown(*WAY[:4], note="The engine does not answer.")[3].note == "The engine does not answer."
    assert "loading" in shown(*WAY[:4])[3].note
    assert [step.note for step in shown(*WAY)] == [""] * 5


def test_done_steps_have_their_moments():
    steps = shown(*WAY)
    assert [step.at for step in steps] == [START + timedelta(minutes=at) for at in (0, 1, 2, 4, 4)]
    assert shown(*WAY[:2])[3].at is None
