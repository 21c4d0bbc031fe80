"""What a release was built of: an in-toto statement with SLSA's provenance (https://slsa.dev/provenance/v1).

It has no time and no machine in it, so two builds of a commit on the same base images write the same file.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

FILE = "provenance.json"
BASE_IMAGES = "base-images.txt"
SOURCE = "urn:polyscribe:source"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "urn:polyscribe:deploy/release.sh:1"


def describe(folder: Path, *, version: str, commit: str) -> dict[str, Any]:
    """Return the statement about every file of a folder."""
    files = [file for file in sorted(folder.iterdir()) if file.name not in (FILE, "SHA256SUMS")]
    materials = [{"uri": SOURCE, "digest": {"gitCommit": commit}}]
    images = folder / BASE_IMAGES
    for line in images.read_text().splitlines() if images.exists() else ():
        name, _, digest = line.partition("@sha256:")
        materials.append({"uri": f"pkg:docker/{name}", "digest": {"sha256": digest}})
    return {
        "_type": STATEMENT,
        "subject": [{"name": file.name, "digest": {"sha256": hash_of(file)}} for file in files],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"version": version},
                "resolvedDependencies": materials,
            },
            "runDetails": {"builder": {"id": BUILD}},
        },
    }


def hash_of(file: Path) -> str:
    """Return a file's SHA-256."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--commit", required=True)
    options = parser.parse_args()
    statement = describe(options.folder, version=options.version, commit=options.commit)
    (options.folder / FILE).write_text(json.dumps(statement, indent=1) + "\n")


if __name__ == "__main__":
    main()
