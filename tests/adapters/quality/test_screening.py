from adapters.admin.moderation import screen_probe, screen_words
from adapters.models import Probe


def test_what_is_easy_to_overlook_is_named_and_ordinary_words_are_left_alone():
    for text, what in {
        "Write to me at ada@example.org.": "an email address",
        "More at https://evil.example": "a web address",
        "Visit cheap-pills.shop today": "a web address",
        "Call +49 (0)89 123 4567 now": "a phone number",
        "P\u200bolyscribe": "1 invisible characters",
    }.items():
        [found] = screen_words({"name": text})
        assert found.startswith(f"The name contains {what}")
    for text in ("A quiet voice of 1920.", "For 3.5 pages, e.g. letters", "👩‍👧 family tales", ""):
        assert screen_words({"description": text}) == []


def probe(*answers: str, base: str = "Rain falls on the town.", strength: float = 0.8) -> Probe:
    samples = [{"prompt": "Rain?", "base": base, "style": answer} for answer in answers]
    return Probe(strength=strength, noise=0.1, samples=samples)


def test_answers_are_read_one_by_one():
    fine = "The rain came down like an old friend who had been away."
    remarks = screen_probe(probe(fine, "Ask at spam@example.org for more.", "", "and so it goes " * 6))
    assert [remark.split(" contains ")[0] for remark in remarks] == [
        "Answer 2",
        "Answer 3 is almost empty.",
        "Answer 4 repeats itself.",
    ]
    assert screen_probe(probe(fine)) == []


def test_what_the_base_model_writes_is_not_the_styles_doing():
    text = "See www.example.org for the rain."
    assert screen_probe(probe(text, base=text)) == []


def test_no_probe_and_no_effect_are_said():
    assert "Not measured yet" in screen_probe(None)[0]
    assert "No effect" in screen_probe(probe("The rain falls on the town.", strength=0.05))[0]
