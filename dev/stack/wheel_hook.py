"""What a wheel of the site holds beside its packages: hatchling calls this (pyproject.toml).

The catalogues, the fonts and the guides' pages are made here, because no checkout and no sdist has them. An
editable installation needs none of it: it reads the checkout.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "core/project"  # core/project_root.py finds it there
GENERATORS = ("locale/compile.py", "dev/stack/web_fonts.py", "dev/stack/guides.py")
# As the Dockerfile copies them; and what trains, for a worker that has TRAINING_PYTHON.
PACKAGED_FILES = (
    "templates/**/*",
    "static/**/*",
    "locale/**/*.mo",
    "locale/**/*.json",
    "docs/built/**/*",
    "engine/styles/**/*",
    "engine/controls/**/*",
    "engine/trainer/**/*",
    "engine/scoring/**/*",
    "engine/adapter.py",
    "engine/base_layers.py",
    "engine/evidence.py",
    "engine/train.py",
)


class WheelHook(BuildHookInterface[Any]):
    """Adds the project's files to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make what is made, and name every file with its place in the wheel."""
        if version != "standard":
            return
        root = Path(self.root)
        for script in GENERATORS:
            subprocess.run([sys.executable, str(root / script)], check=True)
        for pattern in PACKAGED_FILES:
            files = [file for file in sorted(root.glob(pattern)) if is_packaged(file)]
            if not files:
                raise FileNotFoundError(f"The wheel needs {pattern}, and {root} has none.")
            for file in files:
                build_data["force_include"][str(file)] = f"{TARGET}/{file.relative_to(root)}"


def is_packaged(file: Path) -> bool:
    """Return whether a file is the project's own, not a trace of a run."""
    return file.is_file() and "__pycache__" not in file.parts
