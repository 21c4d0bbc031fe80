"""The programs in the documents run as they are pasted."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.folders import ROOT

PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def programs() -> list[tuple[str, str]]:
    """Return each Python program of the documents for clients, with where it stands."""
    found = []
    for document in ("README.md", "docs/api.md"):
        blocks = PYTHON_BLOCK.findall((ROOT / document).read_text())
        assert blocks, document
        found += [(f"{document} {number}", block) for number, block in enumerate(blocks, 1)]
    return found


@pytest.mark.parametrize(("place", "program"), programs())
def test_a_program_of_the_documents_runs_as_pasted(demo, tmp_path: Path, place, program):
    environment = {
        "PATH": os.environ["PATH"],
        "OPENAI_BASE_URL": f"{demo.site}/v1",
        "OPENAI_API_KEY": demo.api_key,
        "ANTHROPIC_BASE_URL": demo.site,
        "ANTHROPIC_API_KEY": demo.api_key,
        "POLYSCRIBE_BASE_URL": demo.site,
        "POLYSCRIBE_API_KEY": demo.api_key,
    }
    shutil.copytree(ROOT / "engine" / "styles" / "legal", tmp_path / "my-adapter")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, f"{place}: {done.stderr[-2000:]}"
    assert done.stdout.strip(), place
    assert "Somebody else" not in done.stdout, place
