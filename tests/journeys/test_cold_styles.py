"""More styles than an engine may hold: those that are not wanted are cold, and come when somebody asks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from stack import engine
from tests.journeys.conftest import kill
from tests.waiting import eventually

pytestmark = [pytest.mark.alone, pytest.mark.rotates]

QUESTION = "Why is the sky blue?"


def told(writer, model: str) -> tuple[str, str]:
    """Return a greedy answer, and where its adapter was when it was asked for."""
    raw = writer.client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": QUESTION}], max_tokens=16, temperature=0
    )
    return raw.parse().choices[0].message.content, raw.headers["x-adapter-state"]


@contextmanager
def room_for(adapters: int) -> Iterator[psycopg.Connection]:
    """Let the engines hold so many adapters and no more, for a while."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        before = database.execute("SELECT max_adapters, name FROM adapters_engine").fetchall()
        database.execute("UPDATE adapters_engine SET max_adapters = %s", [adapters])
        try:
            yield database
        finally:
            with database.cursor() as cursor:
                cursor.executemany("UPDATE adapters_engine SET max_adapters = %s WHERE name = %s", before)


def last_used() -> str:
    """Return which style was asked for last, as the planner knows it."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        rows = database.execute(
            "SELECT style_name FROM metering_usageevent ORDER BY admitted_at DESC LIMIT 1"
        )
        return rows.fetchone()[0]


def engine_answers() -> bool:
    return engine.ready(os.environ["ENGINE_URL"], os.environ["ENGINE_API_KEY"])


def wanted(database: psycopg.Connection) -> set[str]:
    rows = database.execute(
        "SELECT style.slug FROM adapters_placement placement "
        "JOIN adapters_adapterversion version ON version.id = placement.version_id "
        "JOIN adapters_style style ON style.id = version.style_id WHERE placement.is_desired"
    )
    return {slug for (slug,) in rows}


def test_a_cold_style_is_loaded_while_who_asks_for_it_waits(demo):
    before = told(demo, "poetry")[0]
    told(demo, "genz")
    eventually(lambda: last_used() == "genz", within_s=300, what="genz is not in the ledger")
    with room_for(1) as database:
        eventually(lambda: wanted(database) == {"genz"}, within_s=300, what="other styles are still wanted")
        kill("engine")  # its next process has never heard of the others
        # Who asks at the very moment of the death may be told of it (502), however the style stands.
        eventually(engine_answers, within_s=300, what="the engine is not back")
        told(demo, "genz")
        assert told(demo, "poetry") == (before, "loading")
        assert told(demo, "poetry") == (before, "warm")
