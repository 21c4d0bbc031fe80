"""Examples: three tasks, their shares, what becomes of a writer's answers, and what no prompt may hold."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.profiles import examples
from tests.training.corpus.corpora import make_document, make_documents, make_text
from training.corpus import (
    Corpus,
    ExamplePlan,
    Examples,
    Passage,
    SourceDocument,
    Task,
    TaskMix,
    as_jsonl,
    build_corpus,
    choose_instructions,
    make_examples,
    plan_examples,
    without,
    writer_prompts,
)
from training.corpus.examples import ENGLISH, GERMAN, VARIANTS, complete, draft_id, fill, join_keywords
from training.corpus.pairs import cut_parts
from training.corpus.shingles import shares_shingle
from training.text import count_words

BRIEF = "Tell of a quarrel between two brothers about the mill, and let neither of them be right."


def answer_all(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    """Return briefs that share nothing with their passages, and drafts of the same words in a new order."""
    answers = {plan.id: BRIEF for plan in plans if plan.task is Task.BRIEF}
    for part in parts_of(plans):
        answers[draft_id(part)] = turn_round(part)
    return answers


def parts_of(plans: Sequence[ExamplePlan]) -> list[str]:
    """Return the parts of passages that a writer makes drafts of."""
    texts = [plan.passage.text for plan in plans if plan.task is Task.DRAFT]
    return [text[start:end] for text in texts for start, end in cut_parts(text)]


def turn_round(text: str) -> str:
    return " ".join(reversed(text.split()))


def answer_some(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    return dict(list(answer_all(plans).items())[::3])


def quote(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    """Return briefs and drafts that are taken out of the passages."""
    answers = {}
    for plan in plans:
        words = " ".join(plan.passage.text.split()[10:18])
        answers[plan.id] = f"Write this: {words}"
    for part in parts_of(plans):
        answers[draft_id(part)] = part.upper()
    return answers


def answer_nothing(plans: Sequence[ExamplePlan]) -> dict[str, str]:
    return {}


def make(corpus: Corpus, *, seed: int = 1, mix: TaskMix | None = None, answer=answer_nothing) -> Examples:
    plans = plan_examples(corpus, seed=seed, mix=mix or TaskMix())
    return make_examples(plans, answer(plans))


def count(examples: Examples) -> Counter[Task]:
    return Counter(example.task for example in (*examples.learned, *examples.validation))


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus(make_documents(40, 600), seed=1)


@pytest.fixture(scope="module")
def small_corpus() -> Corpus:
    return build_corpus(make_documents(10, 600), seed=1)


def only(task: Task) -> TaskMix:
    """Return a mix of one task."""
    percents = dict.fromkeys(vars(TaskMix()), 0)
    return TaskMix(**percents | {f"{task}_percent": 100})


def joined(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("answer", [answer_nothing, answer_all, answer_some, quote])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_prompt_holds_what_its_response_says(corpus, answer, seed):
    texts = {passage.id: passage.text for passage in (*corpus.learned, *corpus.held_out)}
    examples = make(corpus, seed=seed, mix=TaskMix(100, 100, 100), answer=answer)
    for example in (*examples.learned, *examples.validation):
        text = texts[example.passage_id]
        assert not shares_shingle(example.prompt, example.response)
        if example.task is Task.CONTINUATION:
            assert joined(text).endswith(joined(example.response))
            beginning = joined(text)[: -len(joined(example.response))]
            assert beginning
            assert beginning in joined(example.prompt)
        else:
            is_part = example.task is Task.DRAFT and answer is answer_some
            assert example.response in text if is_part else example.response == text
            assert not shares_shingle(example.prompt, text)


@settings(max_examples=examples(30))
@given(percents=st.lists(st.integers(0, 100), min_size=3, max_size=3).filter(any), seed=st.integers(0, 99))
def test_each_task_has_its_share_and_no_passage_has_one_twice(small_corpus, percents, seed):
    corpus = small_corpus
    mix = TaskMix(*percents)
    plans = plan_examples(corpus, seed=seed, mix=mix)
    learned = [plan for plan in plans if not plan.held_out]
    assert len({plan.id for plan in plans}) == len(plans)
    for task, percent in mix.by_task().items():
        count = sum(plan.task is task for plan in learned)
        assert count == pytest.approx(len(corpus.learned) * percent / 100, abs=1)
    if sum(percents) >= 100:
        assert {plan.passage for plan in learned} == set(corpus.learned)


def test_held_out_passages_validate_and_are_never_learned(corpus):
    examples = make(corpus)
    assert {example.passage_id for example in examples.learned} == {item.id for item in corpus.learned}
    assert {example.passage_id for example in examples.validation} == {item.id for item in corpus.held_out}


def test_without_a_writer_keywords_stand_in_for_briefs_and_drafts_become_continuations(corpus):
    planned = Counter(plan.task for plan in plan_examples(corpus, seed=1))
    made = count(make(corpus))
    assert made == {
        Task.BRIEF: planned[Task.BRIEF],
        Task.CONTINUATION: planned[Task.DRAFT] + planned[Task.CONTINUATION],
    }


def test_a_writer_is_asked_for_each_brief_and_draft_with_the_whole_passage(corpus):
    plans = plan_examples(corpus, seed=1)
    for plan in plans:
        prompts = writer_prompts(plan).values()
        assert (not prompts) == (plan.task is Task.CONTINUATION)
        asked = [plan.passage.text] if plan.task is Task.BRIEF else parts_of([plan])
        assert all(text in prompt for text, prompt in zip(asked, prompts, strict=bool(prompts)))
    examples = make(corpus, answer=answer_all)
    assert count(examples) == Counter(plan.task for plan in plans)
    briefs = [example for example in examples.learned if example.task is Task.BRIEF]
    assert briefs
    assert all(BRIEF in example.prompt for example in briefs)


def test_a_writer_is_asked_in_the_language_of_the_passage():
    for language, word in [("de", "Text"), ("en", "text"), ("fr", "text")]:
        document = make_document("novel", 12_000, language=language)
        plans = plan_examples(build_corpus([document], seed=1), seed=1, mix=only(Task.DRAFT))
        prompt = next(iter(writer_prompts(plans[0]).values()))
        assert word in prompt.partition("\n\n")[0]


@pytest.mark.parametrize(
    ("answer", "prompt_words"),
    [
        (BRIEF, 17),
        (f"  {BRIEF.replace(' ', chr(10))}  ", 17),
        (f"{BRIEF} " * 5, 51),  # three whole sentences
        ("say " * 200, 60),
        ("", None),
        ("A quarrel.", None),
        (None, None),
    ],
    ids=["brief", "white space", "long", "long without sentences", "empty", "too short", "none"],
)
def test_a_brief_has_5_to_60_words_or_keywords_take_its_place(corpus, answer, prompt_words):
    plans = plan_examples(corpus, seed=1, mix=only(Task.BRIEF))
    bare = next(plan for plan in plans if plan.template == 0)  # the brief alone
    example = complete(bare, {} if answer is None else {bare.id: answer})
    if prompt_words is None:
        assert example.prompt == f"Write a passage about {join_keywords(bare.keywords, 'en')}."
    else:
        assert count_words(example.prompt) == prompt_words
        assert "\n" not in example.prompt


def test_a_brief_that_quotes_eight_words_is_thrown_away(corpus):
    mix = only(Task.BRIEF)
    assert make(corpus, mix=mix, answer=quote) == make(corpus, mix=mix)


@pytest.mark.parametrize("draft", [None, "", "Too short.", make_text("long", 2_000)])
def test_a_draft_of_another_length_becomes_a_continuation(corpus, draft):
    plan = plan_examples(corpus, seed=1, mix=only(Task.DRAFT))[0]
    answers = {} if draft is None else {draft_id(part): draft for part in parts_of([plan])}
    assert complete(plan, answers).task is Task.CONTINUATION


def test_the_seed_changes_order_and_wording_and_not_what_is_learned(corpus):
    first = make(corpus)
    again = make(corpus)
    other = make(corpus, seed=2)
    assert as_jsonl(first.learned) == as_jsonl(again.learned)
    assert as_jsonl(first.learned) != as_jsonl(other.learned)
    assert {item.passage_id for item in first.learned} == {item.passage_id for item in other.learned}
    assert [item.passage_id for item in first.learned] != [item.passage_id for item in other.learned]
    assert len({plan.template for plan in plan_examples(corpus, seed=1)}) == VARIANTS


def test_a_passage_left_out_changes_no_wording_of_the_others(corpus):
    gone = corpus.learned[0].id
    before = plan_examples(corpus, seed=1, mix=only(Task.CONTINUATION))
    after = plan_examples(without(corpus, passage_ids=[gone]), seed=1, mix=only(Task.CONTINUATION))
    assert list(after) == [plan for plan in before if plan.passage.id != gone]


@pytest.mark.parametrize(("language", "prompts"), [("en", ENGLISH), ("de", GERMAN), ("fr", ENGLISH)])
def test_prompts_are_german_for_german_and_else_english(language, prompts):
    corpus = build_corpus([make_document("novel", 12_000, language=language)], seed=1)
    examples = make(corpus, mix=only(Task.CONTINUATION))
    openings = tuple(template.partition("{")[0] for template in prompts.continuation)
    assert all(example.prompt.startswith(openings) for example in examples.learned)
    distinct = {opening for opening in openings if opening}
    assert {
        opening for opening in distinct if any(e.prompt.startswith(opening) for e in examples.learned)
    } == distinct


@pytest.mark.parametrize("prompts", [ENGLISH, GERMAN])
def test_every_wording_holds_what_it_asks_about_once(prompts):
    fields = {"brief": "brief", "keywords": "keywords", "draft": "draft", "continuation": "beginning"}
    for name, slot in fields.items():
        templates = getattr(prompts, name)
        assert len(set(templates)) == VARIANTS
        for template in templates:
            prompt = fill(template, words=237, **{slot: "{braces} stay"})
            assert prompt.count("{braces} stay") == 1
            assert ("250" in prompt) == ("{words}" in template)


def test_keywords_are_listed_as_in_a_sentence():
    assert join_keywords(("rain",), "en") == "rain"
    assert join_keywords(("rain", "train", "platform"), "en") == "rain, train and platform"
    assert join_keywords(("Regen", "Zug"), "de") == "Regen und Zug"


def test_lines_are_chats_as_fine_tuning_takes_them(corpus):
    examples = make(corpus)
    lines = as_jsonl(examples.learned).decode().splitlines()
    assert len(lines) == len(examples.learned)
    for line, example in zip(lines, examples.learned, strict=True):
        chat = json.loads(line)
        assert [message["role"] for message in chat["messages"]] == ["user", "assistant"]
        assert chat["messages"][1]["content"] == example.response
        assert chat["task"] == example.task
        assert example.words == sum(count_words(message["content"]) for message in chat["messages"])


def make_story(name: str, words: int) -> SourceDocument:
    """Return a document whose paragraphs all speak of one person."""
    document = make_document(name, words)
    paragraphs = [
        f"{text} So Marian rowed out, and then Marian sang." for text in document.text.split("\n\n")
    ]
    return replace(document, text="\n\n".join(paragraphs))


def test_what_is_learned_has_other_names_and_what_is_validated_or_checked_has_its_own():
    corpus = build_corpus([make_story("a", 12_000)], seed=1)
    assert any("Marian" in passage.text for passage in corpus.learned)
    assert any("Marian" in passage.text for passage in corpus.held_out)
    examples = make(corpus)
    assert not any("Marian" in example.prompt + example.response for example in examples.learned)
    assert any("Marian" in example.response for example in examples.validation)
    kept = make_examples(plan_examples(corpus, seed=1, keeps_names=True), {})
    assert any("Marian" in example.response for example in kept.learned)
    assert [one.passage_id for one in kept.learned] == [one.passage_id for one in examples.learned]


def test_a_writer_reads_the_names_that_are_learned():
    corpus = build_corpus([make_story("a", 12_000)], seed=1)
    plans = plan_examples(corpus, seed=1, mix=only(Task.DRAFT))
    assert not any("Marian" in str(writer_prompts(plan)) for plan in plans if not plan.held_out)


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_example_in_seven_is_an_everyday_request_with_the_bases_answer(corpus, language):
    chosen = choose_instructions(language, examples=80, seed=1)
    assert len(chosen) == len({one.prompt for one in chosen}) == 12
    assert chosen == choose_instructions(language, examples=80, seed=1)
    assert chosen != choose_instructions(language, examples=80, seed=2)
    answers = {one.id: f"{BRIEF} And so on, until it was" for one in chosen[:10]}
    answers |= {chosen[10].id: "No.", chosen[11].id: "without an end " * 9}
    examples = make_examples(plan_examples(corpus, seed=1), answers, chosen)
    answered = [example for example in examples.learned if example.task is Task.INSTRUCTION]
    assert [example.prompt for example in answered] == [one.prompt for one in chosen[:10]]
    assert {example.response for example in answered} == {BRIEF}


def test_a_mix_without_any_task_is_refused():
    for percents in [(0, 0, 0), (101, 0, 0), (-1, 50, 50)]:
        with pytest.raises(ValueError, match="percentage"):
            TaskMix(*percents)


def test_keywords_of_a_list_do_not_quote_it(corpus):
    wares = "apples, barrels, candles, doorknobs, eggcups, feathers, gloves and hammers"
    listing = Passage("wares", "d", f"In the shop were {wares}. They all lay there.", 240, "en")
    listed = replace(corpus, learned=(listing, *corpus.learned))
    plans = plan_examples(listed, seed=1, mix=only(Task.BRIEF))
    example = complete(next(plan for plan in plans if plan.passage == listing), {})
    assert "apples, barrels, candles, doorknobs and eggcups" in example.prompt
    assert not shares_shingle(example.prompt, listing.text)


def test_a_passage_of_a_few_words_can_still_be_continued():
    notes = [make_document(f"n{number}", 9) for number in range(400)]
    corpus = build_corpus(notes, seed=1)
    examples = make(corpus, mix=only(Task.CONTINUATION))
    assert len(examples.learned) == len(corpus.learned)
    assert all(example.response and count_words(example.prompt) > 2 for example in examples.learned)
