"""The package archive of this machine, for trials that make a Debian of their own."""

import shutil
import subprocess


def archive_address() -> list[str]:
    """Return the package archive that this machine itself uses, if it is a Debian; else nothing."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(targets, capture_output=True, text=True) if shutil.which("apt-get") else None
    return listed.stdout.split()[:1] if listed else []
