"""What the command line makes of signals."""

import importlib
import inspect
import signal
import subprocess
import sys

import pytest

from stack.__main__ import COMMANDS, build_parser
from stack.folders import ROOT

SLOW_TO_STOP = """
import argparse, sys, time
from stack import command_line

def work():
    try:
        print("up", flush=True)
        time.sleep(60)
    finally:
        print("stopping", flush=True)
        sys.stdin.readline()
        print("stopped", flush=True)

parser = argparse.ArgumentParser()
command_line.add_command(parser.add_subparsers(), "work", calls="__main__:work", help="")
sys.exit(command_line.run(parser))
"""


def test_a_second_signal_does_not_end_the_stopping_halfway():
    command = [sys.executable, "-c", SLOW_TO_STOP, "work"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)
    with process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "stopping\n"
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send_signal(signum)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "stopped\n"
    assert process.returncode == 130


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_gives_its_function_all_that_it_takes(name):
    arguments = [name, "tenants"] if name == "test-quick" else [name]
    given = vars(build_parser().parse_args(arguments))
    module, _, function = given.pop("calls").partition(":")
    inspect.signature(getattr(importlib.import_module(module), function)).bind(**given)
