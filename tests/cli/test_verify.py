"""`verify` and `receipt`: where a text came from, for people and for scripts."""

import pytest

from tests.provenance.builders import record_answer
from tests.provenance.marked import write

pytestmark = pytest.mark.usefixtures("provenance_keys")

TEXT = write(90)


def test_a_text_is_verified_by_its_watermark(logged_in):
    done = logged_in("verify", "-", stdin=TEXT)
    assert (done.code, "Watermark found" in done.out) == (0, True), done.err
    done = logged_in("verify", "-", stdin=write(600, key=None))
    assert (done.code, "No watermark found" in done.out) == (1, True)
    assert logged_in("verify", "-", "--json", stdin=TEXT).json["results"][0]["epoch"] == 3


def test_a_receipt_is_printed_and_verified(logged_in, acme, tmp_path):
    record_answer(acme, "req_1", text="Hand-made.")
    printed = logged_in("receipt", "req_1")
    assert printed.code == 0, printed.err
    file = tmp_path / "text.receipt"
    file.write_text(printed.out)
    done = logged_in("verify", "-", "--receipt", str(file), stdin="Hand-made.\n")
    assert (done.code, "valid and is for this text" in done.out) == (0, True)
    done = logged_in("verify", "-", "--receipt", str(file), stdin="Another text.")
    assert (done.code, "is for another text" in done.out) == (1, True)
    assert logged_in("receipt", "req_none").code == 1


def test_the_receipt_of_a_prescribed_text_proves_nothing_and_says_why(logged_in, acme, tmp_path):
    record_answer(acme, "req_1", text="Hand-made.", constrained="structured_outputs")
    file = tmp_path / "text.receipt"
    file.write_text(logged_in("receipt", "req_1").out)
    done = logged_in("verify", "-", "--receipt", str(file), stdin="Hand-made.")
    assert (done.code, "the request prescribed it (structured_outputs)" in done.out) == (1, True)


def test_a_receipt_is_one_line_however_long(logged_in, acme):
    record_answer(acme, "req_1", text="Hand-made.")
    assert logged_in("receipt", "req_1").out.count("\n") == 1


def test_a_forged_receipt_is_not_made_up_for_by_a_watermark(logged_in, acme, tmp_path):
    record_answer(acme, "req_1", text=TEXT)
    file = tmp_path / "text.receipt"
    head, claims, signature = logged_in("receipt", "req_1").out.split(".")
    other = "B" if signature[0] == "A" else "A"
    file.write_text(f"{head}.{claims}.{other}{signature[1:]}")
    done = logged_in("verify", "-", "--receipt", str(file), stdin=TEXT)
    assert (done.code, "Watermark found" in done.out, "not valid" in done.out) == (1, True, True)
