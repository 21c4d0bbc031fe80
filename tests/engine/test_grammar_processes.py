"""Grammars that are followed in processes of their own, with xgrammar itself, and what they may take."""

import contextlib
import json
import os
import time
from pathlib import Path

import grammar_processes as module
import numpy as np
import pytest
from grammar_processes import Budget, GrammarError, Grammars, Limits, Sequence, wait_for_steps

from engine import serve
from inference.contract.field_checks import MAX_STOP_CHARACTERS
from tests.engine.engine_python import CPU, ENGINE_PYTHON
from tests.waiting import eventually

MODEL = serve.read_settings(CPU).base_model_dir
pytestmark = pytest.mark.skipif(
    not (ENGINE_PYTHON.exists() and (MODEL / "tokenizer.json").exists()),
    reason="vLLM or the base model is not installed here",
)
SERIALIZE = """
import sys
import xgrammar
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
print(xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=len(tokenizer)).serialize_json())
"""
EOS = 2
PERSON = json.dumps(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
)
LONG = json.dumps({"type": "string", "minLength": 3000})  # minutes to compile
EXPENSIVE = "(.{1,20})+"  # each step takes twice as long as the one before: some 20 ms, 40 ms …


@pytest.fixture(scope="module")
def tokenizer_info(vllm_process):
    return vllm_process.ask(SERIALIZE, str(MODEL))


@pytest.fixture
def start(tokenizer_info):
    with contextlib.ExitStack() as stack:

        def start(**limits):
            # Nobody is ended for the machine's sake.
            patient = {"last_step_wall_s": 60.0, "compile_wall_s": 300.0} | limits
            grammars = Grammars(tokenizer_info, Limits(**patient), python=str(ENGINE_PYTHON))
            stack.callback(grammars.close)
            return grammars

        yield start


def follow(grammars, kind, text, budget=None):
    process = grammars.open(kind, text, whitespace="any", stop_token_ids=[EOS])
    return Sequence(process, budget or Budget(grammars.limits), grammars.limits)


def write(sequence, most=200):
    """Take the first or last token that may follow, again and again; return how many were taken."""
    for count in range(most):
        sequence.finish_step()
        if sequence.failure or sequence.has_ended:
            return count
        allowed = np.nonzero(np.unpackbits(sequence.mask.view(np.uint8), bitorder="little"))[0]
        sequence.accept([EOS if EOS in allowed else int(allowed[len(allowed) // 2])])
    return most


def test_an_ordinary_schema_is_compiled_once_and_followed_by_many(start):
    grammars = start()
    first, second = follow(grammars, "json", PERSON), follow(grammars, "json", PERSON)
    for sequence in (first, second):
        assert write(sequence, most=40) == 40
        assert sequence.failure == ""
    assert len(grammars._compilers) == 1
    choice = follow(grammars, "grammar", 'root ::= "yes" | "no"')
    assert write(choice) < 10
    assert choice.has_ended


def test_a_grammar_that_takes_long_to_compile_is_refused_and_remembered(start):
    grammars = start(compile_s=0.3)
    for _ in range(2):
        with pytest.raises(GrammarError) as raised:
            grammars.open("json", LONG, whitespace="any", stop_token_ids=[])
        assert raised.value.stop_reason == module.TOO_EXPENSIVE
    began_s = time.monotonic()
    with pytest.raises(GrammarError):
        grammars.open("json", LONG, whitespace="any", stop_token_ids=[])
    assert time.monotonic() - began_s < 0.1
    assert write(follow(grammars, "json", PERSON), most=5) == 5


def test_what_is_no_grammar_is_refused_as_such(start):
    grammars = start()
    for kind, text in [
        ("regex", "("),
        ("json", "{"),
        ("json", '{"$ref": "#/$defs/none"}'),
        ("structural_tag", "{}"),
        ("grammar", 'roof ::= "a"'),
    ]:
        with pytest.raises(GrammarError) as raised:
            grammars.open(kind, text, whitespace="any", stop_token_ids=[])
        assert raised.value.stop_reason == module.INVALID_GRAMMAR, text


def test_an_expensive_step_ends_its_own_sequence_and_no_other(start):
    grammars = start()
    expensive, cheap = follow(grammars, "regex", EXPENSIVE), follow(grammars, "json", PERSON)
    wait_for_steps([expensive, cheap])
    for _ in range(12):
        if expensive.failure:
            break
        began_s = time.process_time()
        expensive.accept([1000])
        cheap.finish_step()
        wait_for_steps([expensive, cheap])
        assert time.process_time() - began_s < 0.5
    assert expensive.failure == module.TOO_EXPENSIVE
    assert expensive._process._descriptor == -1  # the process behind it is gone
    assert write(cheap, most=40) == 40


def test_a_step_ends_for_all_where_none_gets_a_processor(start):
    grammars = start(step_wall_s=0.05, expensive_step_s=1000.0, last_step_wall_s=0.2)
    expensive = follow(grammars, "regex", EXPENSIVE)
    began_s = time.monotonic()
    while not expensive.failure and time.monotonic() - began_s < 60:
        expensive.accept([1000])
        step_began_s = time.monotonic()
        expensive.finish_step()
        assert time.monotonic() - step_began_s < 5
    assert expensive.failure == module.TOO_EXPENSIVE


def test_the_sequences_of_a_request_share_a_budget_that_grows_with_the_tokens(start):
    grammars = start(follow_s=0.02, follow_token_s=0.0, expensive_step_s=1000.0)
    budget = Budget(grammars.limits)
    spent = [write(follow(grammars, "json", PERSON, budget), most=2000) for _ in range(3)]
    assert sum(spent) < 6000
    alone = write(follow(grammars, "json", PERSON), most=2000)
    assert sum(spent) < 3 * max(alone, 1)
    generous = start(follow_s=0.02, follow_token_s=0.01, expensive_step_s=1000.0)
    assert write(follow(generous, "json", PERSON), most=2000) == 2000


@pytest.mark.parametrize("text", ["[^\\s\\S]", "a[^\\s\\S]"])
def test_an_expression_that_nothing_matches_is_no_grammar(start, text):
    try:
        sequence = follow(start(), "regex", text)
        write(sequence)
        reason = sequence.failure
    except GrammarError as error:
        reason = error.stop_reason
    assert reason == module.INVALID_GRAMMAR


def test_a_token_that_may_not_follow_ends_the_sequence(start):
    sequence = follow(start(), "regex", "a{3}")
    sequence.accept([EOS])
    sequence.finish_step()
    assert sequence.failure == module.INVALID_GRAMMAR


def test_tokens_are_tried_and_taken_back(start):
    grammars = start()
    sequence = follow(grammars, "json", PERSON)
    sequence.finish_step()
    first = int(np.nonzero(np.unpackbits(sequence.mask.view(np.uint8), bitorder="little"))[0][0])
    mask = sequence.mask.copy()
    assert sequence.count_valid([first, EOS]) == 1
    assert np.array_equal(sequence.mask, mask)
    sequence.accept([first])
    sequence.finish_step()
    sequence.roll_back(1)
    sequence.finish_step()
    assert np.array_equal(sequence.mask, mask)


def test_who_loses_a_process_loses_one_request(start):
    grammars = start()
    first, second = follow(grammars, "json", PERSON), follow(grammars, "json", PERSON)
    write(first, most=3)
    os.kill(first._process.process_id, 9)
    write(first, most=3)
    assert first.failure == module.TOO_EXPENSIVE
    assert write(second, most=10) == 10
    grammars._server.kill()  # all end with it
    grammars._server.wait()
    with pytest.raises(GrammarError):
        follow(grammars, "json", PERSON)
    assert write(follow(grammars, "json", PERSON), most=10) == 10


def test_processes_end_with_their_sequence_and_with_the_engine(start):
    grammars = start()
    sequences = [follow(grammars, "json", PERSON) for _ in range(3)]
    ids = [sequence._process.process_id for sequence in sequences]
    sequences[0].close()
    grammars.close()
    eventually(lambda: not any(map(is_running, ids)), within_s=20)


def test_what_reads_grammars_inherits_no_secret(start, monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", "engine-key")
    monkeypatch.setenv("WATERMARK_KEYS", "1:00")
    grammars = start()
    inherited = Path(f"/proc/{grammars._server.pid}/environ").read_text().split("\0")
    names = {one.partition("=")[0] for one in inherited if one}
    assert "PATH" in names
    assert names <= {*module.PASSED_ON, "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"}


def is_running(process_id):
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_no_client_can_pretend_a_failure():
    assert len(module.TOO_EXPENSIVE) > len(module.INVALID_GRAMMAR) > MAX_STOP_CHARACTERS


LOADS_PLUGINS = """
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.structured_output import StructuredOutputManager, backend_xgrammar
for function in (
    backend_xgrammar.validate_xgrammar_grammar, StructuredOutputManager.__init__,
    StructuredOutputManager._create_grammar, StructuredOutputManager.grammar_bitmask,
    Scheduler._update_request_with_output, Scheduler.update_from_output, Scheduler._free_request,
):
    print(function.__module__)
"""


def test_vllm_loads_the_plugin_in_each_of_its_processes(vllm_process):
    assert vllm_process.ask(LOADS_PLUGINS).split() == ["polyscribe_grammars"] * 7
