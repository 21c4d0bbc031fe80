"""The management API as the smoke run, the trials and the benches call it."""

import html
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx2

from stack.errors import Miss

# The site's pages as a browser without JavaScript sees them, for the smoke run.

Session = httpx2.Client


def signed_in(site: str, *, login: str, password: str) -> Session:
    """Return a session that logged in through the form. Raises Miss."""
    session = Session(base_url=site, follow_redirects=True, timeout=30)
    page = fetched(session, "/accounts/login/")
    answer = post_form(session, "/accounts/login/", page, login=login, password=password)
    if answer.status_code != 200 or answer.url.path.startswith("/accounts/login"):
        raise Miss(f"Logging in as {login} failed (status {answer.status_code}).")
    return session


def post_form(session: Session, path: str, page: str, **fields: str) -> httpx2.Response:
    """Send a form of a page; return the answer. Raises Miss if the page has no form."""
    form = {"csrfmiddlewaretoken": token(page), **fields}
    return session.post(path, data=form, headers={"Referer": str(session.base_url)})


def fetched(session: Session, path: str) -> str:
    """Return a page's HTML. Raises Miss unless it is there."""
    answer = session.get(path)
    if answer.status_code != 200:
        raise Miss(f"{answer.url} returned {answer.status_code}.")
    return answer.text


def token(page: str) -> str:
    """Return the page's CSRF token."""
    return attribute(page, r'<input[^>]*name="csrfmiddlewaretoken"[^>]*>', "value")


def attribute(page: str, tag: str, name: str) -> str:
    """Return one attribute of the first tag that the pattern finds. Raises Miss."""
    found = re.search(tag, page)
    value = found and re.search(rf'\b{name}="([^"]*)"', found.group())
    if not value:
        raise Miss(f"The page has no {name} on {tag}.")
    return html.unescape(value.group(1))


def link(page: str, key: str) -> str:
    """Return where the navigation's link of a keyboard letter leads."""
    return attribute(page, rf'<a\b[^>]*data-go="{key}"[^>]*>', "href")


FILES = ("adapter_config.json", "adapter_model.safetensors")
TIMEOUT_S = 60
POLL_S = 0.25
PREPARED_WITHIN_S = 120.0  # a training's documents, and its examples
SERVING_POLL_S = 0.7  # several uploads at once stay within a plan's requests per minute


@dataclass(frozen=True)
class Upload:
    """A version that was sent: its id, its style's address, and the name to call the style by."""

    id: str
    style: str
    model: str
    number: int

    @property
    def page(self) -> str:
        """The style's page."""
        return f"/styles/{self.model}/"


class Api:
    """One key's view of `/api/v1`."""

    def __init__(self, site: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._client = httpx2.Client(base_url=f"{site}/api/v1", headers=headers, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return what a GET answers. Raises Miss."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what a POST answers. Raises Miss."""
        return self._request(
            "POST", path, json=body or {}, headers={"Idempotency-Key": secrets.token_hex(16)}
        )

    def begin_upload(self, style: str, files: dict[str, int], *, auto_promote: bool = True) -> dict[str, Any]:
        """Return a new version of a style, with a form for each file. Raises Miss."""
        named = [{"name": name, "size_bytes": size} for name, size in files.items()]
        return self.post(f"styles/{style}/versions", {"files": named, "auto_promote": auto_promote})

    def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self._client.request(method, f"/{path}", **options)
        if not answer.is_success:
            raise Miss(f"{method} {answer.url} returned {answer.status_code}: {answer.text[:500]}")
        return dict(answer.json())


def upload_style(api: Api, folder: Path, *, after: Upload | None = None, sample_prompt: str = "") -> Upload:
    """Upload the two files of an adapter as a new style, or as a version after another one; then finish it.

    A version `after` another one waits to be promoted. Raises Miss.
    """
    if after:
        style, model = after.style, after.model
    else:
        slug = f"smoke-{secrets.token_hex(3)}"
        texts = {"name": f"Smoke {slug}", "sample_prompt": sample_prompt}
        created = api.post("styles", {"slug": slug, **texts})
        style, model = created["id"], created["model"]
    files = {name: (folder / name).stat().st_size for name in FILES}
    version = api.begin_upload(style, files, auto_promote=after is None)
    for file in version["upload"]["files"]:
        post_file(file["form"], folder / file["name"])
    api.post(f"uploads/{version['id']}/finish")
    return Upload(id=version["id"], style=style, model=model, number=version["number"])


def post_file(form: dict[str, Any], file: Path) -> None:
    """POST one file straight to the storage by its form. Raises Miss."""
    with file.open("rb") as content:
        files = {"file": (file.name, content)}
        answer = httpx2.post(form["url"], data=form["fields"], files=files, timeout=TIMEOUT_S)
    if not answer.is_success:
        raise Miss(f"The storage returned {answer.status_code} for {file.name}: {answer.text[:300]}")


def create_training(api: Api, slug: str, files: Sequence[Path], *, epochs: int) -> str:
    """Create a training and send its documents; return its address in the API. Raises Miss."""
    training = api.post("trainings", {"slug": slug, "name": f"Training {slug}", "epochs": epochs})
    address = f"trainings/{training['id']}"
    sizes = [{"name": file.name, "size_bytes": file.stat().st_size} for file in files]
    documents = api.post(f"{address}/documents", {"files": sizes})["data"]
    for file, document in zip(files, documents, strict=True):
        post_file(document["upload"], file)
    return address


def await_read(api: Api, address: str) -> list[dict[str, Any]]:
    """Have a training's documents read; return them once all are. Raises Miss."""
    api.post(f"{address}/documents/finish")
    documents: list[dict[str, Any]] = []

    def are_read() -> bool:
        documents[:] = api.get(f"{address}/documents", limit="100")["data"]
        return all(document["status"] in ("read", "refused") for document in documents)

    wait_until(are_read, within_s=PREPARED_WITHIN_S, what="not all documents are read")
    if refusals := [document["refusal"] for document in documents if document["status"] == "refused"]:
        raise Miss(f"{address}: {'; '.join(refusals)}")
    return documents


def await_estimate(api: Api, address: str) -> dict[str, Any]:
    """Have the examples of a training made; return it once it is ready to start. Raises Miss."""
    api.post(f"{address}/estimate")
    wait_until(
        lambda: api.get(address)["status"] != "preparing",
        within_s=PREPARED_WITHIN_S,
        what=f"{address} is not prepared",
    )
    training = api.get(address)
    if training["status"] != "ready":
        raise Miss(f"{address} can't start: {training['note']}")
    return training


def await_serving(api: Api, upload: Upload, *, within_s: float = 60.0) -> None:
    """Wait until an upload's version serves. Raises Miss when it ends otherwise, or too late."""

    def serves() -> bool:
        state: dict[str, Any] = {}
        with suppress(httpx2.TransportError):  # a part that was killed is on its way back
            state = api.get(f"uploads/{upload.id}")
        if not state.get("is_final"):
            return False
        if state["status"] != "serving":
            raise Miss(f"{upload.model}@{upload.number} ended as {state['status']}: {state['findings']}")
        return True

    what = f"{upload.model} is not serving"
    wait_until(serves, within_s=within_s, what=what, every_s=SERVING_POLL_S)


def wait_until(check: Callable[[], bool], *, within_s: float, what: str, every_s: float = POLL_S) -> None:
    """Ask a check again and again until it holds. Raises Miss."""
    until = time.monotonic() + within_s
    while not check():
        if time.monotonic() > until:
            raise Miss(f"After {within_s:.0f} s {what}.")
        time.sleep(every_s)
