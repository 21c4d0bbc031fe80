"""`check`: how close a draft is, for people and for programs."""

import pytest

from tests.adapters.builders import known
from tests.adapters.evidence.cases import DRAFT, lay_evaluation


@pytest.fixture
def draft(acme, engine, verifies, tmp_path) -> str:
    lay_evaluation(known(acme, "letters", engine), verifier=b"numbers")
    file = tmp_path / "draft.txt"
    file.write_text(DRAFT, encoding="utf-8")
    return str(file)


def test_a_draft_is_compared_with_the_author(logged_in, draft):
    done = logged_in("check", "letters", draft)
    assert done.code == 0, done.err
    assert "Of texts that score like this, 50 % are by the author of acme/letters@1" in done.out
    assert "Leveraging synergies is key." in done.out
    assert logged_in("check", "letters", draft, "--json").json["percent"] == 50
    assert logged_in("check", "letters", "-", "--json", stdin=DRAFT).json["words"] == len(DRAFT.split())


def test_what_cannot_be_checked_is_said(logged_in, draft, tmp_path):
    assert logged_in("check", "letters", str(tmp_path / "none.txt")).code == 2
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7\xff\xfe")
    refused = logged_in("check", "letters", str(tmp_path / "scan.pdf"))
    assert refused.code == 2
    assert "not a plain text" in refused.err
    short = logged_in("check", "letters", "-", stdin="Too short.")
    assert short.code == 1
    assert "at least 50" in short.err
