"""Mail goes out once, again while the server is away, within bounds, and its rows go with their events."""

import smtplib
from datetime import timedelta

import pytest
from django.core import mail

from events import tasks
from events.models import EventType, NoticeKind, NoticeMail
from events.notices import catalog, sending
from tenants.models import Membership
from tests.events.notices.conftest import refused, statuses
from tests.racing import race

pytestmark = pytest.mark.django_db

AWAY = [
    ConnectionRefusedError(),
    TimeoutError(),
    smtplib.SMTPServerDisconnected("gone"),
    smtplib.SMTPAuthenticationError(535, b"no"),
    smtplib.SMTPSenderRefused(550, b"no", "no-reply@example.org"),
]


@pytest.fixture
def to_alice(alice, bob, happen):
    """Records an event that is told to Alice alone."""
    return lambda **changes: happen(EventType.WEBHOOK_DISABLED, **changes)


def test_what_waits_is_sent_once_and_to_where_its_member_is_reached_now(alice, to_alice):
    to_alice()
    alice.email = "alice@new.example.org"
    alice.save()
    assert sending.has_due()
    tasks.send_notices()
    assert [letter.to for letter in mail.outbox] == [["alice@new.example.org"]]
    assert statuses() == ["sent"]
    assert not sending.has_due()
    assert sending.send_due() == 0
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_mail_once(to_alice, mail_server):
    for _ in range(6):
        to_alice()
    second = iter([sending.send_due])

    def begin_second() -> None:
        for send in second:  # it comes once, while the first one is in the middle of a mail
            race(send)

    mail_server.before_sending = begin_second
    sending.send_due()
    assert not list(second)
    ids = [letter.extra_headers["Message-ID"] for letter in mail.outbox]
    assert len(ids) == len(set(ids)) == 6
    assert statuses() == ["sent"] * 6


@pytest.mark.parametrize("failure", AWAY, ids=lambda failure: type(failure).__name__)
def test_while_the_server_is_away_nothing_is_lost_and_it_is_asked_seldom(
    to_alice, mail_server, clock, failure
):
    for _ in range(3):
        to_alice()
    mail_server.failure = failure
    sending.send_due()
    assert mail_server.dialogues == 1
    assert not sending.has_due()
    clock.move(seconds=61)
    sending.send_due()
    assert mail_server.dialogues == 2
    mail_server.failure = None
    clock.move(hours=1)
    assert sending.send_due() == 3
    assert statuses() == ["sent"] * 3


def test_after_a_day_of_failures_a_mail_is_given_up(to_alice, mail_server, clock):
    to_alice()
    mail_server.failure = TimeoutError("too slow")
    while statuses() == ["pending"]:
        assert mail_server.dialogues < 40
        clock.at = max(clock.at, NoticeMail.objects.get().next_attempt_at)
        sending.send_due()
    assert statuses() == ["failed"]
    row = NoticeMail.objects.get()
    assert row.failure == "TimeoutError: too slow"
    assert timedelta(hours=24) <= row.ended_at - row.created_at < timedelta(hours=26)
    assert mail_server.dialogues > 20
    mail_server.failure = None
    assert sending.send_due() == 0


def test_an_address_that_is_refused_for_good_is_not_tried_again_and_holds_up_nobody(
    to_alice, mail_server, clock
):
    to_alice()
    mail_server.failure = refused(550)
    sending.send_due()
    assert statuses() == ["failed"]
    to_alice()
    to_alice()
    mail_server.failure = refused(450)  # a full mailbox: later, and the others meanwhile
    sending.send_due()
    assert statuses() == ["failed", "pending", "pending"]
    assert mail_server.dialogues == 3
    mail_server.failure = None
    clock.move(minutes=2)
    assert sending.send_due() == 2


def test_what_a_killed_worker_left_behind_is_sent_by_the_next_one(to_alice, mail_server, clock):
    class Killed(BaseException):
        pass

    to_alice()
    mail_server.failure = Killed()
    with pytest.raises(Killed):
        sending.send_due()
    assert statuses() == ["pending"]
    assert not sending.has_due()
    mail_server.failure = None
    assert sending.send_due() == 0
    clock.move(minutes=4)
    assert sending.has_due()
    assert sending.send_due() == 1


def test_a_worker_that_lost_its_lease_writes_nothing_over_the_next_ones_outcome(to_alice, mail_server, clock):
    to_alice()

    def lose_lease() -> None:
        mail_server.before_sending = lambda: None
        clock.move(minutes=4)
        assert sending.send_due() == 1
        mail_server.failure = TimeoutError()

    mail_server.before_sending = lose_lease
    sending.send_due()
    assert statuses() == ["sent"]


def test_a_mail_that_cannot_be_written_is_seen_and_holds_up_no_other(to_alice, happen, clock):
    happen(EventType.USAGE_THRESHOLD_REACHED, period="never")
    to_alice()
    with pytest.raises(ValueError, match="never"):
        sending.send_due()
    assert sending.send_due() == 1
    assert statuses() == ["pending", "sent"]


def test_a_person_gets_so_many_of_a_kind_an_hour_and_is_told_of_the_rest(to_alice, happen, clock):
    for _ in range(sending.MAX_AN_HOUR + 3):
        to_alice()
    happen(EventType.USAGE_THRESHOLD_REACHED)
    sending.send_due()
    assert statuses() == ["sent"] * 20 + ["skipped"] * 3 + ["sent"]
    assert "we\u2019re pausing them for now" in mail.outbox[19].body
    assert "we\u2019re pausing them" not in mail.outbox[18].body + mail.outbox[20].body
    clock.move(minutes=61)
    to_alice()
    to_alice()
    sending.send_due()
    assert "We skipped 3 earlier emails of this kind" in mail.outbox[21].body
    assert "skipped" not in mail.outbox[22].body


def test_what_was_switched_off_meanwhile_is_not_sent(alice_alone, to_alice):
    to_alice()
    catalog.switch(alice_alone, NoticeKind.WEBHOOKS, is_wanted=False)
    sending.send_due()
    assert statuses() == ["unwanted"]
    assert mail.outbox == []


def test_a_person_who_left_gets_nothing_any_more(bob, happen):
    event = happen(EventType.STYLE_SHARED)
    Membership.objects.filter(user=bob).delete()
    assert sending.send_due() == 1
    assert event.mails.count() == 1
    assert mail.outbox[0].to == ["alice@example.org"]


def test_beat_wakes_a_worker_only_where_mail_waits(to_alice, monkeypatch, clock):
    woken = []
    monkeypatch.setattr(tasks.send_notices, "apply_async", lambda **options: woken.append(options))
    tasks.sweep_notices()
    assert woken == []
    to_alice()
    clock.move(seconds=1)
    tasks.sweep_notices()
    assert woken == [{"expires": 5}]
