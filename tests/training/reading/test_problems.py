"""Every code that reading can refuse with has a sentence and a fix, in both languages."""

import re
from pathlib import Path
from string import Formatter

from django.utils.translation import override

import training.reading
from training.reading.documents import Refusal
from training.reading.problems import ReadingFix, ReadingProblem, explain

SOURCES = Path(training.reading.__file__).parent
REFUSED = re.compile(r'Refused\(\s*"([a-z_]+)"(?: if [^"]+ else "([a-z_]+)")?')
FACTS = {
    "file": "my novel.pdf",
    "limit_mb": 64,
    "limit_s": 4,
    "limit": 2000,
    "pages": 10_000,
    "ending": ".pdf",
}


def test_codes_in_the_sources_are_those_of_the_sentences():
    raised = set()
    for module in SOURCES.rglob("*.py"):
        for found in REFUSED.findall(module.read_text()):
            raised.update(code for code in found if code)
    assert raised == {name.lower() for name in ReadingProblem.__members__}
    assert set(ReadingFix.__members__) == set(ReadingProblem.__members__)


def test_a_refusal_says_which_file_why_and_what_to_do_in_both_languages():
    for name, problem in ReadingProblem.__members__.items():
        explanation = explain(Refusal(name.lower(), FACTS))
        sentence, fix = str(explanation.sentence), str(explanation.fix)
        assert "my novel.pdf" in sentence
        assert fix
        asked = {fact for _, fact, _, _ in Formatter().parse(problem.value) if fact}
        assert asked <= FACTS.keys()
        with override("de"):
            assert "my novel.pdf" in str(explanation.sentence)
            assert str(explanation.sentence) != sentence
            assert str(explanation.fix) != fix


def test_numbers_are_grouped_and_a_pasted_text_has_a_name():
    assert str(explain(Refusal("too_many_pages", FACTS)).sentence) == (
        "my novel.pdf has 10,000 pages; the limit is 2,000."
    )
    assert str(explain(Refusal("empty", {"file": ""})).sentence) == "Your pasted text is empty."
