"""`make pin-images`: the digests of the images that docker-compose.yml names by tag, as a file beside it.

It asks each image's registry by the protocol that all share (OCI distribution), so it needs no docker. The
file holds until a tag in docker-compose.yml changes; `docker compose` takes it where COMPOSE_FILE names it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2
import yaml

from stack.errors import StackError
from stack.folders import ROOT, shown
from stack.steps import Steps

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
PINNED = ROOT / "docker-compose.digests.yml"
OWN = "polyscribe"  # built here, from a base that is pinned as a build argument
DOCKER_HUB = "registry-1.docker.io"
TIMEOUT_S = 15
# Of an image for several kinds of machine we want the index, which is the same for all of them.
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
AWAY = "images stay pinned by version, as docker-compose.yml has them."
CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
BASE = re.compile(r"^ARG PYTHON_IMAGE=(\S+)$", re.MULTILINE)


class RegistryAway(StackError):
    """A registry did not answer: images stay pinned by version, as docker-compose.yml has them."""


@dataclass(frozen=True)
class Image:
    """An image's name as compose files write it, in parts."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def read(cls, name: str) -> "Image":
        """Return the parts of a name such as `postgres:18.6` or `quay.io/owner/image:1`."""
        path, _, tag = name.rpartition(":")
        first, _, rest = path.partition("/")
        if rest and ("." in first or ":" in first):
            return cls(first, rest, tag)
        return cls(DOCKER_HUB, path if "/" in path else f"library/{path}", tag)


def pin() -> int:
    """Write the file with every image's digest; return 0. Raises RegistryAway."""
    steps = Steps()
    text = COMPOSE.read_text()
    services = read_images(text)
    base = BASE.findall(DOCKERFILE.read_text())[0]
    digests = {}
    with httpx2.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        for name in sorted({*services.values(), base}):
            digests[name] = find_digest(client, Image.read(name))
            steps.say(f"  ✓ {name}@{digests[name]}")
    write(PINNED, services, digests, base=base, built=read_built(text))
    steps.say(f"\n{shown(PINNED)} is written. COMPOSE_FILE in .env names it.")
    return 0


def read_images(compose: str) -> dict[str, str]:
    """Return service → the image that it takes from a registry."""
    services = yaml.safe_load(compose)["services"]
    images = {name: str(service["image"]) for name, service in services.items() if "image" in service}
    return {name: image for name, image in images.items() if not image.startswith(OWN)}


def find_digest(client: httpx2.Client, image: Image, *, scheme: str = "https") -> str:
    """Return the digest of an image's tag, as its registry says it. Raises RegistryAway."""
    url = f"{scheme}://{image.registry}/v2/{image.repository}/manifests/{image.tag}"
    headers = {"Accept": ", ".join(KINDS)}
    try:
        answer = client.head(url, headers=headers)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {get_token(client, answer.headers['www-authenticate'])}"
            answer = client.head(url, headers=headers)
    except httpx2.TransportError as error:
        raise RegistryAway(f"{image.registry} was not reached ({type(error).__name__}): {AWAY}") from error
    digest = answer.headers.get("docker-content-digest", "")
    if answer.status_code != 200 or not digest.startswith("sha256:"):
        place = f"{image.registry}/{image.repository}:{image.tag}"
        raise RegistryAway(f"{place}: the registry answered {answer.status_code}; {AWAY}")
    return digest


def get_token(client: httpx2.Client, challenge: str) -> str:
    """Return a token for reading, from where a registry's challenge says. Raises RegistryAway."""
    facts = dict(CHALLENGE.findall(challenge))
    realm = facts.pop("realm", "")
    answer = client.get(realm, params=facts)
    if answer.status_code != 200:
        raise RegistryAway(f"{realm} gave no token ({answer.status_code}): {AWAY}")
    found = answer.json()
    return str(found.get("token") or found["access_token"])


def read_built(compose: str) -> list[str]:
    """Return the services whose image is built here."""
    services = yaml.safe_load(compose)["services"]
    return [name for name, service in services.items() if "build" in service]


def write(
    file: Path, services: Mapping[str, str], digests: Mapping[str, str], *, base: str, built: Iterable[str]
) -> None:
    """Write the compose file that lies over the other one; `base` is the image that ours is built from."""
    pinned: dict[str, object] = {}
    for service, image in services.items():
        pinned[service] = {"image": f"{image}@{digests[image]}"}
    for service in built:
        pinned[service] = {"build": {"args": {"PYTHON_IMAGE": f"{base}@{digests[base]}"}}}
    head = "# What docker-compose.yml names by version, by digest. `make pin-images` wrote it.\n"
    file.write_text(head + yaml.safe_dump({"services": pinned}))
