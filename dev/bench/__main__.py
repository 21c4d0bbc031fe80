"""What is measured: `python -m bench NAME OPTIONS`, or `make bench NAME=… ARGS=…`; without a name, the list.

Each bench is a program of its own; BENCHES says which, and what runs beside it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from stack.folders import ROOT

SERVICES = ("run", "--services")
LARGE = (*SERVICES, "--var", "var/large")  # kept: eight gigabytes that take minutes to make
PAGES = (*SERVICES, "--var", "var/bench-pages")
WHOLE = ("run", "--all")


@dataclass(frozen=True)
class Bench:
    """A program, the stack that it runs beside, and what it needs of the environment."""

    help: str
    program: str
    beside: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()  # options of stack/bootstrap.py
    migrates: bool = False

    def run(self, options: list[str]) -> NoReturn:
        """Prepare the environments, then become the program, beside its stack."""
        if self.needs:
            subprocess.run([sys.executable, "-I", ROOT / "dev/stack/bootstrap.py", *self.needs], check=True)
        environment = {**os.environ, **self.variables}
        program = [sys.executable, "-m", *self.program.split(), *options]
        if self.migrates:
            program = ["sh", "-c", '"$1" manage.py migrate -v 0 && exec "$@"', "sh", *program]
        if self.beside:
            program = [sys.executable, "-m", "stack", *self.beside, "--", *program]
        os.chdir(ROOT)
        os.execvpe(program[0], program, environment)


ENGINE = ("--engine",)
BENCHES = {
    "gateway": Bench("the gateway's overhead, compared to nginx, LiteLLM and TensorZero", "bench.gateway"),
    "peers": Bench("install LiteLLM and TensorZero for `gateway`", "bench.targets"),
    "request-cost": Bench("processor time or instructions of one request", "bench.request_cost"),
    # 16 places, so that one tenant has eight at once: no tenant alone takes the last quarter.
    "engine": Bench(
        "the real engine by `vllm bench serve`; ARGS=gateway or styles",
        "bench.engine",
        WHOLE,
        {"ENGINE_SOCKET": "", "ENGINE_MAX_NUM_SEQS": "16"},
        ENGINE,
    ),
    "neighbours": Bench(
        "what a neighbour notices while others attack, and what they pay; ARGS='sequences uploads'",
        "bench.neighbours",
        WHOLE,
        needs=ENGINE,
    ),
    "memory": Bench("the calculated memory beside a running vLLM's (CPU)", "bench.memory", needs=ENGINE),
    "evidence": Bench(
        "what the evidence card's figures tell, on the novels in NOVELS; ARGS=check",
        "bench.evidence",
        variables={"OPENBLAS_NUM_THREADS": "1"},
    ),
    "rewrite": Bench(
        "whether styles rewrite plain drafts as their authors would, on the novels in NOVELS",
        "bench.rewrite",
        SERVICES,
        variables={"OPENBLAS_NUM_THREADS": "1"},
        needs=ENGINE,
    ),
    "pages": Bench(
        "pages in a workspace with 10,000 styles and many requests",
        "bench.pages pages",
        PAGES,
        needs=("--guides",),
        migrates=True,
    ),
    "api": Bench("the API's lists in the same workspace", "bench.pages api", PAGES, migrates=True),
    "console": Bench(
        "the console's lists, with 10 million requests of 1,000 workspaces",
        "bench.pages console",
        LARGE,
        migrates=True,
    ),
}


def main(arguments: list[str]) -> int:
    """Run the bench that is named first; without a name, or with an unknown one, list them."""
    name, *options = arguments or ["--help"]
    if name in BENCHES:
        BENCHES[name].run(options)
    for known, bench in BENCHES.items():
        print(f"  {known:<18}{bench.help}")
    return 0 if name == "--help" else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
