"""The evidence card: who sees which part of it, the check of a draft, the blind test, and the gate."""

from dataclasses import replace

import pytest
from django.urls import reverse

from adapters.catalog import sharing
from adapters.errors import ParagraphsTooShort
from adapters.evidence import drafts, train_verifier
from adapters.models import AdapterVersion, EvaluationFailure, EvaluationNote, EvaluationStatus, Style
from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import join_authors, measure_author
from tenants.models import Membership
from tests.adapters.builders import known
from tests.adapters.evidence.cases import (
    AUTHORS_PASSAGE,
    DRAFT,
    FIGURES,
    LOW,
    PASSAGE,
    SAMPLE,
    lay_evaluation,
)
from tests.adapters.verifier.writers import write_passages
from tests.tenants.builders import owner_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def version(acme, engine) -> AdapterVersion:
    return known(acme, "letters", engine)


def page_of(name: str = "style") -> str:
    return reverse(f"adapters:{name}", args=["acme", "letters"])


def test_an_owner_sees_figures_samples_and_what_is_repeated(alice_client, version):
    lay_evaluation(version, LOW)
    page = alice_client.get(page_of()).text
    for title in ("Learned", "Sounds like the author", "Repeats its texts", "Keeps to the request"):
        assert title in page
    assert "2 of 20 answers could pass for the author." in page
    assert "It repeats its texts, so it stays private." in page
    assert f"{reverse('training:new')}?style=letters" in page
    assert "so nothing of it comes from this author" in page
    assert page.count("evidence-advice") == 4
    assert PASSAGE in page
    assert SAMPLE["base"] in page


def test_the_card_begins_with_a_verdict_and_offers_what_helps(alice_client, version):
    version.provenance = {"recipe": {"epochs": 3}}
    version.save(update_fields=["provenance"])
    lay_evaluation(version, {**FIGURES, "briefs": LOW["briefs"]})
    page = alice_client.get(page_of()).text
    verdict = page.index("Fit for letters and scenes; weak at following requests.")
    assert verdict < page.index('<ul class="evidence-rows">')
    assert f"{reverse('training:new')}?style=letters&amp;epochs=1" in page
    assert "Train with more texts" not in page


def test_six_samples_are_open_and_nobody_writes_more_than_the_style(alice_client, version):
    long = {**SAMPLE, "style": "word " * 30, "writer": "own " * 300, "base": "plain " * 300}
    lay_evaluation(version, samples=[long] * 9)
    page = alice_client.get(page_of()).text
    opened, _, folded = page.partition("3 more samples")
    assert (opened.count("The author</figcaption>"), folded.count("The author</figcaption>")) == (6, 3)
    for word in ("own", "plain"):
        assert f"{word} " * 29 + f"{word}…" in page
        assert f"{word} " * 31 not in page


def test_a_viewer_sees_figures_and_no_texts(bob, bob_client, version):
    lay_evaluation(version, LOW)
    Membership.objects.filter(user=bob).update(role=Membership.Role.VIEWER)
    for address in (page_of(), reverse("adapters:evidence", args=[version.pk])):
        page = bob_client.get(address).text
        assert "2 of 20 answers" in page
        assert PASSAGE not in page
        assert SAMPLE["writer"][:40] not in page
    assert bob_client.get(page_of("guess")).status_code == 403


def test_others_see_the_figures_of_what_they_may_use_and_nothing_else(
    alice, charlie_client, charlies, version
):
    lay_evaluation(version, verifier=b"x")
    assert charlie_client.get(page_of()).status_code == 404
    sharing.share_style(
        owner_of(version.style.owner, alice), Style.objects.get(pk=version.style_id), charlies.slug
    )
    version.evaluations.create(status=EvaluationStatus.FAILED, failure=EvaluationFailure.TEXTS_GONE())
    page = charlie_client.get(page_of()).text
    assert "13 of 20 answers" in page
    assert SAMPLE["writer"][:40] not in page
    assert "texts were deleted" not in page
    for name in ("guess", "check_draft"):
        assert page_of(name) not in page
        assert charlie_client.get(page_of(name)).status_code == 404
    assert charlie_client.get(reverse("adapters:evidence", args=[version.pk])).status_code == 404


def test_a_check_in_progress_says_how_far_it_is_and_what_comes_next(alice_client, version):
    evaluation = version.evaluations.create(percent=31, note=EvaluationNote.MEASURING())
    page = alice_client.get(page_of()).text
    assert reverse("adapters:evidence", args=[version.pk]) in page
    assert "Measuring how well the style predicts" in page
    assert "Answering the same requests" in page
    failure = EvaluationFailure.CRASHED(times=3)
    version.evaluations.filter(pk=evaluation.pk).update(status=EvaluationStatus.FAILED, failure=failure)
    part = alice_client.get(reverse("adapters:evidence", args=[version.pk])).text
    assert "stopped 3 times in a row" in part
    assert "every 2s" not in part


def test_a_queued_check_says_how_many_are_ahead_of_it(alice_client, version, acme, engine):
    known(acme, "other", engine).evaluations.create()
    version.evaluations.create()
    page = alice_client.get(page_of()).text
    assert "1 check is ahead of this one." in page
    assert "a minute or two" not in page


def test_an_unchecked_version_can_be_checked_where_trainings_are_on(alice_client, version, settings):
    address = reverse("training:new_evaluation", args=[version.pk])
    assert address in alice_client.get(page_of()).text
    settings.TRAINING = False
    assert address not in alice_client.get(page_of()).text


def test_the_sharing_page_says_why_a_version_stays_private(alice_client, charlies, version):
    lay_evaluation(version, LOW)
    page = alice_client.get(page_of("style_sharing")).text
    assert "repeats 9 of 200 passages in part" in page
    shared = alice_client.post(
        reverse("adapters:share", args=[version.style_id]), {"workspace": charlies.slug}
    )
    assert shared.status_code == 400
    assert not version.style.shares.exists()


def test_a_draft_is_compared_and_stays_in_the_form(alice_client, version, verifies):
    lay_evaluation(version, verifier=b"numbers")
    page = alice_client.post(page_of("check_draft"), {"text": DRAFT}).text
    assert "Of texts that score like this one, 50% are by the author, when half of all texts are." in page
    assert "typically get 55% to 96% if they are by the author, and 4% to 35% if they are by someone" in page
    assert "What the base model writes gets 12% on average." in page
    assert '<q class="serif">Leveraging synergies is key.</q>' in page
    assert "The river had risen in the night.</q>" not in page, "it is nearer than the whole"
    assert f">\n{DRAFT}</textarea>" in page
    short = alice_client.post(page_of("check_draft"), {"text": "Too short."})
    assert short.status_code == 400
    assert "at least 50" in short.text
    assert "Too short.</textarea>" in short.text


@pytest.mark.parametrize("reason", ["language", "old_check"])
def test_without_a_calibration_the_page_says_why_there_is_no_percentage(alice_client, version, reason):
    language = "de" if reason == "language" else "en"
    verifier = train_verifier(write_passages(1, count=12), language)
    if reason == "old_check":
        verifier = replace(verifier, basis=None)
    lay_evaluation(version, verifier=verifier.to_bytes())
    answer = alice_client.post(page_of("check_draft"), {"text": " ".join(write_passages(2, count=2))})
    assert (answer.context["check"].percent, answer.context["check"].percent_unknown) == (None, reason)
    assert ("in English alone" if reason == "language" else "Check it again") in answer.text
    assert '<q class="serif">' in answer.text


def test_without_a_verifier_the_draft_page_says_what_to_do(alice_client, version):
    assert "Nothing to compare with yet" in alice_client.get(page_of("check_draft")).text
    lay_evaluation(version, {**FIGURES, "voice": None})
    assert "Nothing to compare with yet" in alice_client.get(page_of("check_draft")).text
    assert alice_client.post(page_of("check_draft"), {"text": DRAFT}).status_code == 400


def test_the_blind_test_hides_who_is_who_until_the_answer_and_counts_it_once(alice_client, version):
    lay_evaluation(version, samples=[SAMPLE, {**SAMPLE, "writer": AUTHORS_PASSAGE + "And more."}])
    page = alice_client.get(page_of("guess"))
    assert "the author</strong>" not in page.text
    [first, second] = page.context["sides"]
    assert len(first["text"].split()) == len(second["text"].split()), "their length tells nothing"
    right = first if first["is_author"] else second
    sent = {"round": 1, "choice": right["choice"]}
    shown = alice_client.post(page_of("guess"), sent, follow=True)
    assert "Right: you found" in shown.text
    assert "1 of 1 right" in shown.text
    assert "1 of 1 right" in alice_client.post(page_of("guess"), sent, follow=True).text
    [first, second] = alice_client.get(page_of("guess")).context["sides"]
    wrong = second if first["is_author"] else first
    shown = alice_client.post(page_of("guess"), {"round": 2, "choice": wrong["choice"]}, follow=True)
    assert "1 of 2 right" in shown.text
    alice_client.post(page_of("guess"), {"again": "on"})
    assert alice_client.get(page_of("guess")).context["answered"] == 0


def test_sides_differ_between_rounds(version):
    evaluation = lay_evaluation(version, samples=[SAMPLE] * 20)
    rounds = drafts.list_rounds(evaluation, "salt")
    assert {one.author_is_first for one in rounds} == {True, False}
    assert [one.texts for one in rounds] == [one.texts for one in drafts.list_rounds(evaluation, "salt")]


def test_a_draft_by_the_author_is_nearer_than_one_by_another(alice_client, version):
    others = [
        measure_author(measure_passages(write_passages(seed, count=40), "en")) for seed in range(10, 18)
    ]
    verifier = train_verifier(write_passages(1, count=40), "en", impostors=join_authors(others))
    lay_evaluation(version, verifier=verifier.to_bytes())
    checks = []
    for writer in (1, 2):
        [text] = write_passages(writer, count=1, words=600)
        checks.append(alice_client.post(page_of("check_draft"), {"text": text}).context["check"])
    own, other = checks
    assert own.percent > other.percent
    assert len(other.farthest) == drafts.FARTHEST
    assert own.farthest[0].percent <= own.farthest[-1].percent


def test_paragraphs_by_another_are_found_and_short_ones_say_nothing(version, monkeypatch):
    others = [
        measure_author(measure_passages(write_passages(seed, count=40), "en")) for seed in range(10, 18)
    ]
    verifier = train_verifier(write_passages(1, count=40), "en", impostors=join_authors(others))
    lay_evaluation(version, verifier=verifier.to_bytes())
    own, foreign = (write_passages(writer, count=3, words=120) for writer in (1, 2))
    mixed = "\n\n".join([own[0], foreign[0], "Too short.", own[1], foreign[1], own[2], foreign[2]])
    found = {mixed[one.start : one.end] for one in drafts.check_paragraphs(version.style, mixed)}
    assert found
    assert found <= set(foreign)
    monkeypatch.setattr(drafts, "MOST_SHOWN", 2)
    shown = drafts.check_paragraphs(version.style, "\n\n".join(write_passages(2, count=6, words=120)))
    assert len(shown) == 2
    assert shown[0].start < shown[1].start
    with pytest.raises(ParagraphsTooShort):
        drafts.check_paragraphs(version.style, "The river rose in the night.\n\n" * 20)
