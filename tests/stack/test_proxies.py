"""The proxies of docs/running.md, run as they stand there, but for ports and certificates."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import sync_playwright

from stack import seaweed, seaweed_tls
from stack.folders import ROOT
from stack.ports import Ports
from tests.chromium import launch
from tests.documents import blocks
from tests.stack.servers import Handler, serving
from tests.waiting import retry

SITE, FILES = "polyscribe.example.com", "files.example.com"
UPLOAD = bytes(range(256)) * 20_000  # 5 MB: five times what nginx takes unless it is told
FLAGS = ["--ignore-certificate-errors", "--host-resolver-rules=MAP * 127.0.0.1"]


class Site(Handler):
    """A site that shows what it got, and writes a stream whose end waits for its beginning to be read."""

    protocol_version = "HTTP/1.1"
    first_part_was_read = threading.Event()

    def do_GET(self):
        if self.path == "/stream":
            self._stream()
        elif self.path in ("/store.js", "/words.js"):
            self.answer(200, (ROOT / "static/js" / self.path[1:]).read_bytes(), "text/javascript")
        else:
            self.answer(200, str(self.headers).encode(), "text/html")

    def do_POST(self):
        body = self.read_body()
        with suppress(OSError):  # a proxy that stopped a body halfway is gone
            self.answer(200, str(len(body)).encode(), "text/plain")

    def _stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"6\r\nfirst \r\n")
        self.first_part_was_read.wait(60)
        self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    with serving(Site) as server:
        yield server.server_port


def example(language: str) -> str:
    [block] = blocks("docs/running.md", language=language)
    return block.text


@dataclass
class Proxy:
    """A running proxy, asked by either of its names."""

    port: int
    client: httpx2.Client

    def ask(self, method: str, host: str, target: str, **options) -> httpx2.Response:
        request = self.request(method, host, target, **options)
        return self.client.send(request)

    def request(self, method: str, host: str, target: str, *, headers=None, **options) -> httpx2.Request:
        return self.client.build_request(
            method,
            f"https://127.0.0.1:{self.port}{target}",
            headers={"Host": f"{host}:{self.port}", **(headers or {})},
            extensions={"sni_hostname": host},
            **options,
        )


def nginx(config: str, folder: Path, port: int) -> list[str]:
    config = config.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    config = config.replace("/etc/ssl/polyscribe/fullchain.pem", str(folder / seaweed_tls.CERTIFICATE))
    config = config.replace("/etc/ssl/polyscribe/privkey.pem", str(folder / seaweed_tls.KEY))
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{config}\n}}\n"
    )
    return ["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(config: str, folder: Path, port: int) -> list[str]:
    config = config.replace("{\n", "{\n    admin off\n    auto_https off\n", 1)
    pair = f"{folder / seaweed_tls.CERTIFICATE} {folder / seaweed_tls.KEY}"
    for host in (SITE, FILES):
        config = config.replace(f"{host} {{", f"https://{host}:{port} {{\n    bind 127.0.0.1\n    tls {pair}")
    (folder / "Caddyfile").write_text(config)
    return ["caddy", "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROXIES = {"nginx": nginx, "caddy": caddy}


@contextmanager
def running(name: str, folder: Path, *, site: int, s3: int, config: str | None = None) -> Iterator[Proxy]:
    """Run an example of the docs before a site and a storage on other ports."""
    config = (config or example(name)).replace("127.0.0.1:8000", f"127.0.0.1:{site}")
    config = config.replace("127.0.0.1:8333", f"127.0.0.1:{s3}")
    seaweed_tls.ensure(folder, host=SITE)
    with ExitStack() as cleanup:
        ports = Ports()
        cleanup.callback(ports.release)
        port = ports.take("proxy")
        command = PROXIES[name](config, folder, port)
        log = cleanup.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(folder)}
        )
        cleanup.callback(process.wait)
        cleanup.callback(process.terminate)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = cleanup.enter_context(closing(httpx2.Client(verify=context, timeout=60)))
        proxy = Proxy(port, client)

        def is_there() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            return bool(proxy.ask("GET", SITE, "/"))

        retry(is_there, httpx2.ConnectError)
        yield proxy


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, site, stack, tmp_path_factory) -> Iterator[Proxy]:
    if not shutil.which(request.param, path="/usr/sbin:/usr/bin:/bin"):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    with running(request.param, folder, site=site, s3=stack.addresses.s3) as proxy:
        yield proxy


def signer(stack, proxy):
    return seaweed.client(f"https://{FILES}:{proxy.port}", stack.credentials)


def test_a_signed_upload_passes_and_a_signed_download_gives_it_back(proxy, stack):
    form = signer(stack, proxy).generate_presigned_post(
        seaweed.BUCKET, "weights", Conditions=[["content-length-range", len(UPLOAD), len(UPLOAD)]]
    )
    target = f"/{seaweed.BUCKET}"
    sent = proxy.ask("POST", FILES, target, data=form["fields"], files={"file": UPLOAD})
    assert sent.status_code == 204, sent.text

    url = signer(stack, proxy).generate_presigned_url(
        "get_object", Params={"Bucket": seaweed.BUCKET, "Key": "weights"}
    )
    assert proxy.ask("GET", FILES, url.partition(f":{proxy.port}")[2]).content == UPLOAD


def test_a_streams_beginning_arrives_before_its_end_is_written(proxy):
    Site.first_part_was_read.clear()
    answer = proxy.client.send(proxy.request("GET", SITE, "/stream"), stream=True)
    parts = answer.iter_raw()

    assert next(parts) == b"first "
    Site.first_part_was_read.set()
    assert b"".join(parts) == b"last"


def test_the_site_learns_the_clients_address_and_no_other(proxy):
    seen = proxy.ask("GET", SITE, "/", headers={"X-Forwarded-For": "203.0.113.9"}).text

    assert re.findall(r"(?mi)^x-forwarded-for: *(.*?)\r?$", seen) == ["127.0.0.1"]
    assert re.search(r"(?mi)^x-forwarded-proto: *https", seen)
    assert re.search(rf"(?mi)^host: *{SITE}", seen)


def test_a_malformed_chunk_takes_no_server_away_from_others(proxy):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    head = f"GET / HTTP/1.1\r\nHost: {SITE}:{proxy.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with ExitStack() as held:
        for _ in range(4):
            plain = held.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
            sender = held.enter_context(context.wrap_socket(plain, server_hostname=SITE))
            sender.sendall(f"{head}1\r\na\r\nno size\r\n".encode())
        slowest_s = 0.0
        for _ in range(5):
            began_s = time.monotonic()
            assert proxy.ask("GET", SITE, "/").status_code == 200
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            time.sleep(0.2)  # each of the four may be tried again meanwhile
    assert slowest_s < 10  # Caddy tries for 20 s


def test_a_body_of_the_api_passes_and_a_much_larger_one_stops_at_the_proxy(proxy):
    assert proxy.ask("POST", SITE, "/", content=b"x" * 4_000_000).text == "4000000"
    assert proxy.ask("POST", SITE, "/v1/files", content=b"x" * 5_000_000).text == "5000000"
    refused = proxy.ask("POST", SITE, "/", content=b"x" * 5_000_000)
    assert refused.status_code in {413, 502}  # the second is Caddy 2.6's


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="nginx is not installed")
def test_the_page_says_that_the_proxy_takes_no_such_file(site, stack, tmp_path):
    """A proxy that nobody told about uploads: nginx takes 1 MB, and browsers may not read its answer."""
    untold = example("nginx").replace("client_max_body_size 1100m;", "")
    script = """async ([url, size]) => {
        const { store } = await import("/store.js");
        const file = new File([new Uint8Array(size)], "adapter_model.safetensors");
        const said = [];
        for (let time = 0; time < 3; time++)
            await store({ url, fields: {} }, file, () => {}).catch((refusal) => said.push(refusal.message));
        return said;
    }"""
    with (
        running("nginx", tmp_path, site=site, s3=stack.addresses.s3, config=untold) as proxy,
        sync_playwright() as playwright,
        closing(launch(playwright, *FLAGS)) as browser,
    ):
        page = browser.new_page(ignore_https_errors=True)
        page.goto(f"https://{SITE}:{proxy.port}/")
        said = page.evaluate(script, [f"https://{FILES}:{proxy.port}/{seaweed.BUCKET}", len(UPLOAD)])

    assert said[0].startswith("The connection to storage was lost.")
    assert said[1] == said[2]
    assert said[1].startswith("The server in front of storage doesn\u2019t accept a file of 5.1 MB")
    assert "docs/running.md" in said[1]
