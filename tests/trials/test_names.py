"""`make trial NAME=…` and `make bench NAME=…`: every name leads to a program, and none lists them all."""

import importlib
import inspect
import subprocess
import sys
from importlib.util import find_spec

import pytest

from bench.__main__ import BENCHES
from stack.folders import ROOT
from trials.__main__ import TRIALS, build_parser


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_gives_its_function_all_that_it_takes(name):
    given = vars(build_parser().parse_args([name]))
    module, _, function = given.pop("calls").partition(":")
    inspect.signature(getattr(importlib.import_module(module), function)).bind(**given)


def test_every_bench_is_a_program_that_is_there():
    programs = {name: bench.program.split()[0] for name, bench in BENCHES.items()}
    assert {name: program for name, program in programs.items() if find_spec(program) is None} == {}


@pytest.mark.parametrize(("program", "names"), [("bench", BENCHES), ("trials", TRIALS)])
def test_without_a_name_all_are_listed(program, names):
    done = subprocess.run([sys.executable, "-m", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert [name for name in names if f" {name} " not in done.stdout] == []
