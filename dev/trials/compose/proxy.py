"""The TLS proxy of deploy/Caddyfile in front of the services: with certificates of Caddy's own authority.

It runs on the host: both of its names are `localhost` here, which one container's ports could not tell apart.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stack.errors import Miss, MissingPrerequisite
from stack.folders import ROOT

CADDYFILE = ROOT / "deploy" / "Caddyfile"
AUTHORITY = Path("caddy/pki/authorities/local/root.crt")
READY_WITHIN_S = 30.0
GLOBAL_OPTIONS = "    skip_install_trust\n    admin off\n    auto_https disable_redirects\n"


@contextmanager
def serving(folder: Path, *, site_port: int, files_port: int, upstreams: Mapping[str, int]) -> Iterator[Path]:
    """Run Caddy with these ports, and each upstream's port on this host; yield its certificate authority.

    Raises MissingPrerequisite, or Miss where Caddy does not start.
    """
    caddy = shutil.which("caddy")
    if not caddy:
        raise MissingPrerequisite("caddy is missing: install it (apt-get install caddy).")
    text = CADDYFILE.read_text()
    text = text.replace("{\n", "{\n" + GLOBAL_OPTIONS, 1)
    for name, port in upstreams.items():
        text = text.replace(name, f"127.0.0.1:{port}")
    configuration = folder / "Caddyfile"
    configuration.write_text(text)
    variables = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "SITE_HOST": f"localhost:{site_port}",
        "FILES_HOST": f"localhost:{files_port}",
    }
    with (folder / "caddy.log").open("w") as log:
        command = [caddy, "run", "--adapter=caddyfile", f"--config={configuration}"]
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        authority = folder / AUTHORITY
        until_s = time.monotonic() + READY_WITHIN_S
        while not authority.exists():
            if process.poll() is not None or time.monotonic() > until_s:
                raise Miss(f"Caddy did not start: see {folder / 'caddy.log'}.")
            time.sleep(0.1)
        yield authority
    finally:
        process.terminate()
        process.wait()
