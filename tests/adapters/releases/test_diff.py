"""The page that compares two versions on the owner's own prompts."""

import re
from random import Random
from time import process_time

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from adapters.models import Placement, Status, Style
from adapters.releases import diff

PAGE = "/styles/acme/noir/compare/"
ANSWERS = f"{PAGE}answers/?a=1&b=2"
WRITTEN = {"prompt": ["Why?"], "first": ["It rains."], "second": ["It rains, no cap."]}


@pytest.fixture
def style(version, engine) -> Style:
    """A style whose version 1 is live, and of which version 2 serves, too."""
    newer = version.style.versions.create(number=2, status=Status.SERVING)
    Placement.objects.create(engine=engine, version=newer)
    return version.style


def test_both_versions_are_asked_under_their_own_names(style, alice_client):
    page = alice_client.get(PAGE)
    assert (page.context["first"].number, page.context["second"].number) == (1, 2)
    assert page.text.count('data-model="acme/noir@1"') == page.text.count('data-model="acme/noir@2"') == 3
    turned = alice_client.get(PAGE, {"a": 2, "b": 1}).context
    assert (turned["first"].number, turned["second"].number) == (2, 1)
    odd = alice_client.get(PAGE, {"a": "x", "b": 99}).context
    assert (odd["first"].number, odd["second"].number) == (1, 2)


def test_prompts_are_kept_with_the_style_and_too_many_are_refused_beside_the_field(style, alice_client):
    kept = alice_client.post(PAGE, {"prompts": "Why is it late?\n\n Who called? "}, follow=True)
    assert [pair["prompt"] for pair in kept.context["pairs"]] == ["Why is it late?", "Who called?"]
    refused = alice_client.post(PAGE, {"prompts": "\n".join(f"Again {number}?" for number in range(9))})
    assert refused.status_code == 422
    assert "Use at most 8 prompts, one per line; you have 9." in refused.text
    assert "Again 8?" in refused.text  # nothing typed is lost
    style.refresh_from_db()
    assert style.test_prompts == "Why is it late?\nWho called?"


def test_a_prompt_that_is_too_long_is_refused_beside_the_field_and_not_cut(style, alice_client):
    long = "Tell me everything about rain. " * 17
    refused = alice_client.post(PAGE, {"prompts": f"Why?\n{long}"})
    assert refused.status_code == 422
    assert "the one starting with “Tell me everything about rain.” has 526." in refused.text
    assert long in refused.text
    style.refresh_from_db()
    assert style.test_prompts == ""


def test_differences_are_marked_and_put_into_sentences(style, alice_client):
    shown = alice_client.post(ANSWERS, WRITTEN | {"second": ["It rains, <b>no cap</b>."]}).text
    assert "It <mark>rains, &lt;b&gt;no cap&lt;/b&gt;.</mark>" in re.sub(r"\s+>", ">", shown)
    assert "Version 2 writes" in shown
    uneven = WRITTEN | {"first": []}
    assert alice_client.post(ANSWERS, uneven).status_code == 404


def test_with_one_version_the_page_says_what_is_missing(style, alice_client):
    style.versions.filter(number=2).update(status=Status.RETIRED)
    page = alice_client.get(reverse("adapters:compare", args=["acme", "noir"]))
    assert "Nothing to compare yet" in page.text
    assert alice_client.post(ANSWERS, WRITTEN).status_code == 404


WORST = {
    "the same word": ("a " * 2000, "a " * 1999 + "b "),
    "two words in turn": ("a b " * 1000, "b a a " * 666),
    "two words at random": tuple("".join(Random(seed).choices(["a ", "b "], k=2000)) for seed in (1, 2)),
    "nothing in common": (
        " ".join(map(str, range(800, 1800)))[:4000],
        " ".join(map(str, range(1800, 2800)))[:4000],
    ),
    "sentences of one word": ("a. " * 1333, "b. a. " * 666),
    "marks": (".) " * 1333, ".\n\n" * 1333),
}


@pytest.mark.parametrize("one", WORST)
def test_a_comparison_costs_little_whatever_the_answers_are(one):
    """Before: 25 CPU seconds of the web process for two answers. Now about 0.1 s for all eight pairs."""
    prompts = ["Why?"] * diff.PROMPTS_MAX
    first, second = (text[: diff.ANSWER_CHARACTERS] for text in WORST[one])
    began_s = process_time()
    found = diff.compare_answers(prompts, [first] * 8, [second] * 8, numbers=(1, 2))
    assert process_time() - began_s < 1
    assert sum(len(pair.first.pieces) + len(pair.second.pieces) for pair in found.pairs) <= 16 * 200
    for pair in found.pairs:
        assert "".join(piece.text for piece in pair.first.pieces) == first
        assert "".join(piece.text for piece in pair.second.pieces) == second


@given(*[st.lists(st.sampled_from("abcd"), max_size=14)] * 2)
def test_what_is_common_is_in_both_in_order_and_as_much_as_can_be(first, second):
    common = diff.common_words(first, second)[::-1]
    assert [first[at] for at, _ in common] == [second[at] for _, at in common]
    for side in (0, 1):
        places = [pair[side] for pair in common]
        assert places == sorted(set(places))
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            longest = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if one == other else longest
    assert len(common) == lengths[-1][-1]
