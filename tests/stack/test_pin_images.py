"""`make pin-images` against a registry on loopback that wants a token, as Docker Hub does."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import yaml

from stack import env_file, pin_images
from stack.checking import BY_HAND
from stack.folders import ROOT
from stack.pin_images import Image, RegistryAway, find_digest, read_built, read_images

DIGEST = f"sha256:{'ab' * 32}"


class Registry(BaseHTTPRequestHandler):
    """Knows one image, and gives a token to whoever asks for it by the right words."""

    def do_HEAD(self):
        if self.headers.get("Authorization") != "Bearer for-owner/image":
            realm = f"http://127.0.0.1:{self.server.server_port}/token"
            self.send_response(401)
            scope = "repository:owner/image:pull"
            self.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="registry",scope="{scope}"')
        elif self.path == "/v2/owner/image/manifests/1.2" and "image.index.v1" in self.headers["Accept"]:
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST)
        else:
            self.send_response(404)
        self.end_headers()

    def do_GET(self):
        asked = parse_qs(urlsplit(self.path).query)
        repository = asked["scope"][0].split(":")[1] if asked["service"] == ["registry"] else "nothing"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": f"for-{repository}"}).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_digest_is_asked_for_with_the_token_that_the_registry_wants(registry):
    with httpx2.Client() as client:
        assert find_digest(client, Image.read(f"{registry}/owner/image:1.2"), scheme="http") == DIGEST
        with pytest.raises(RegistryAway, match="answered 404; images stay pinned by version"):
            find_digest(client, Image.read(f"{registry}/owner/image:9"), scheme="http")


def test_a_registry_that_is_away_is_told_in_a_line():
    with httpx2.Client(timeout=2) as client, pytest.raises(RegistryAway, match="was not reached"):
        find_digest(client, Image.read("127.0.0.1:9/owner/image:1"), scheme="http")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("postgres:18.6", ("registry-1.docker.io", "library/postgres", "18.6")),
        ("vllm/vllm-openai:v0.33.0", ("registry-1.docker.io", "vllm/vllm-openai", "v0.33.0")),
        ("quay.io/owner/image:1", ("quay.io", "owner/image", "1")),
    ],
)
def test_names_are_read_as_docker_reads_them(name, parts):
    image = Image.read(name)
    assert (image.registry, image.repository, image.tag) == parts


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose is not installed")
def test_compose_takes_the_file_and_pins_every_image(tmp_path):
    compose = (ROOT / "docker-compose.yml").read_text()
    images = read_images(compose)
    base = pin_images.BASE.findall(pin_images.DOCKERFILE.read_text())[0]
    digests = dict.fromkeys([*images.values(), base], DIGEST)
    pin_images.write(tmp_path / "digests.yml", images, digests, base=base, built=read_built(compose))
    env_file.write(tmp_path / "env")
    files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(tmp_path / "digests.yml")]
    profiles = ["--profile", "proxy", "--profile", "observability"]
    done = subprocess.run(
        ["docker-compose", "--env-file", str(tmp_path / "env"), *files, *profiles, "config"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **BY_HAND},
        capture_output=True,
        text=True,
        check=True,
    )

    services = yaml.safe_load(done.stdout)["services"]
    assert len(services) > 12
    for name, service in services.items():
        if "build" in service:
            assert service["build"]["args"]["PYTHON_IMAGE"].endswith(DIGEST), name
        else:
            assert service["image"].endswith(DIGEST), name


def test_what_is_committed_pins_every_image_whose_digest_is_known():
    pinned = yaml.safe_load(pin_images.PINNED.read_text())["services"]
    compose = (ROOT / "docker-compose.yml").read_text()
    for service, name in read_images(compose).items():
        if name.startswith("vllm/"):  # its digest is not known here: `make pin-images` asks for it
            continue
        assert re.fullmatch(re.escape(name) + "@sha256:[0-9a-f]{64}", pinned[service]["image"])
    dockerfile = pin_images.DOCKERFILE.read_text()
    assert env_file.find_stale_pins(pin_images.PINNED.read_text(), compose, dockerfile) == []


def test_a_file_of_another_version_is_told(tmp_path):
    compose = (ROOT / "docker-compose.yml").read_text()
    dockerfile = pin_images.DOCKERFILE.read_text()
    images = read_images(compose)
    base = pin_images.BASE.findall(dockerfile)[0]
    digests = dict.fromkeys([*images.values(), base], DIGEST)
    file = tmp_path / "digests.yml"
    pin_images.write(file, images, digests, base=base, built=read_built(compose))

    assert env_file.find_stale_pins(file.read_text(), compose, dockerfile) == []
    for name in digests:
        newer = [text.replace(name, f"{name}.1") for text in (compose, dockerfile)]
        assert env_file.find_stale_pins(file.read_text(), *newer) == [name]


def test_make_secrets_fails_where_the_file_is_of_another_version(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(env_file, "FILE", tmp_path / ".env")
    monkeypatch.setattr(env_file, "FOLDER", tmp_path / "secrets")
    monkeypatch.setattr(env_file, "PINNED", tmp_path / "digests.yml")
    env_file.main()
    env_file.PINNED.write_text(f"services: {{postgres: {{image: 'postgres:1.0@{DIGEST}'}}}}")
    with pytest.raises(SystemExit, match="which this version no longer names"):
        env_file.main()
