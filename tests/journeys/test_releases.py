"""A style's two versions: called by number, tried on a share of requests, promoted, rolled back."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stack.api import Upload, fetched, token
from tests.journeys.conftest import Writer, group_of
from tests.waiting import eventually

PROMPT = "Describe a morning in the city."
PEOPLE = [f"person-{number}" for number in range(24)]
MIN_REQUESTS = 20  # of canary_analysis.py


def ask(writer: Writer, model: str, *, tokens: int = 1, **options: object) -> tuple[int, str]:
    """Return which version answered, by the provenance header, and what it wrote."""
    answer = writer.client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=tokens,
        temperature=0,
        **options,
    )
    text = answer.parse().choices[0].message.content or ""
    return int(answer.headers["x-polyscribe-style-version"]), text


def act(writer: Writer, upload: Upload, action: str, **form: str) -> float:
    """Send one of the forms of a style's page; return the moment when it was sent."""
    page = fetched(writer.session, f"{upload.page}versions/")
    target = re.search(rf'action="(/styles/[^"]*{action}/)"', page).group(1)
    form = {"csrfmiddlewaretoken": token(page), **form}
    began = time.monotonic()
    answer = writer.session.post(target, data=form, headers={"Referer": writer.site}, follow_redirects=False)
    assert answer.status_code == 302
    return began


@contextmanager
def standing_still(name: str) -> Iterator[None]:
    """Let one of the stack's programs do nothing for a while."""
    group = group_of(name)
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.mark.alone  # it stops the workers beside the engine for a while
def test_versions_are_called_by_number_tried_promoted_and_rolled_back(demo, random_adapters):
    upload = demo.upload(random_adapters[0])
    name = upload.model
    demo.upload(random_adapters[1], after=upload)
    by_number = {number: ask(demo, f"{name}@{number}", tokens=12) for number in (1, 2)}
    assert [version for version, _ in by_number.values()] == [1, 2]
    assert by_number[1] != by_number[2]
    for alias in (name, f"{name}@live", name.rpartition("/")[2]):
        assert ask(demo, alias, tokens=12) == by_number[1], "an upload that waits does not answer"

    act(demo, upload, "canary", percent="50")
    assert ask(demo, f"{name}@canary")[0] == 2
    assert ask(demo, f"{name}@live", user=PEOPLE[0])[0] == 1
    met = {person: ask(demo, name, user=person)[0] for person in PEOPLE}
    assert set(met.values()) == {1, 2}
    assert {person: ask(demo, name, user=person)[0] for person in PEOPLE} == met, "the same one every time"
    # Who meets the canary depends on the style's name: one of them asks as often as a judgement needs.
    tried = next(person for person, version in met.items() if version == 2)
    for _ in range(MIN_REQUESTS):
        assert ask(demo, name, user=tried)[0] == 2
    asked = re.search(
        r'hx-get="(/styles/[^"]*/canary/)"', fetched(demo.session, f"{upload.page}versions/")
    ).group(1)

    def is_judged() -> bool:
        return "neither it nor version 1 has failed" in fetched(demo.session, asked)

    eventually(is_judged, within_s=300, what="the canary's figures show no 20 requests")

    # Only the worker beside the engine ever has it load something.
    with standing_still("worker-engine"), standing_still("worker-housekeeping"):
        act(demo, upload, "promote")
        assert ask(demo, name)[0] == 2, "the very next request meets it"
        assert ask(demo, name, tokens=12) == by_number[2]
        assert {ask(demo, name, user=person)[0] for person in PEOPLE[:4]} == {2}, "the canary has ended"

        began = act(demo, upload, "roll-back")
        assert ask(demo, name)[0] == 1, "the very next request meets it"
        took_s = time.monotonic() - began  # told, not held against a limit: others may use this machine
        print(f"rolled back, and the old version answered, within {took_s:.3f} s")
        assert ask(demo, name, tokens=12) == by_number[1]
    assert "Version 1 replaced version 2" in fetched(demo.session, f"{upload.page}versions/")
