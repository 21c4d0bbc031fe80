"""The programs in the documents run as they are pasted."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stack.folders import ROOT
from tests.documents import FOR_CLIENTS, Block, blocks


@pytest.fixture(scope="module")
def environment(demo) -> dict[str, str]:
    """What the exports of the documents leave in a shell, with the demo's address and key put in."""
    demo.store_responses()
    exports = [command for block in blocks("docs/api.md", language="sh") for command in block.commands()]
    script = "\n".join([*exports, "env -0"]).replace("<site>", demo.site).replace("<key>", demo.api_key)
    bare = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-euc", script], env=bare, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.split("\0") if line)


def numbered(found: list[Block]) -> dict[str, Block]:
    """Return blocks by names that outlast an edit above them, docs/api.md-1 and so on; no text twice."""
    numbers: Counter[str] = Counter()
    names: dict[str, Block] = {}
    for block in found:
        numbers[block.document] += 1
        if block.text not in {named.text for named in names.values()}:
            names[f"{block.document}-{numbers[block.document]}"] = block
    return names


PROGRAMS = numbered(blocks(*FOR_CLIENTS, language="python"))


@pytest.mark.parametrize("block", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_of_the_documents_runs_as_pasted(environment, tmp_path: Path, block):
    shutil.copytree(ROOT / "engine" / "styles" / "legal", tmp_path / "my-adapter")
    done = subprocess.run(
        [sys.executable, "-c", block.text],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, f"{block}: {done.stderr[-2000:]}"
    assert done.stdout.strip(), block
    assert "Somebody else" not in done.stdout, block
