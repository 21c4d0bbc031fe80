"""`make smoke`: the whole stack once, as a newcomer uses it; the last line is SMOKE OK and the seconds."""

import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2
import openai

from stack import services
from stack.errors import Miss
from stack.folders import ROOT
from stack.pages import Session, attribute, fetched, link, posted, rows, signed_in, token
from stack.run import folder
from stack.steps import Steps
from stack.whole import bring_up

STYLE = ROOT / "engine" / "styles" / "legal"
FILES = ("adapter_config.json", "adapter_model.safetensors")
SHIPPED_MODEL = "poetry"
SERVING_WITHIN_S = 60.0
COUNTED_WITHIN_S = 30.0
QUESTION = "Describe a morning in the city."
MAX_TOKENS = 24


@dataclass(frozen=True)
class Upload:
    """A style that was sent: the page that shows its steps, and the name to call it by."""

    page: str
    model: str


def smoke() -> int:
    """Run it all in a temporary folder. Raises Miss at the first thing that is not as promised."""
    steps = Steps()
    with folder(None) as folders, services.opened(folders, steps) as stack:
        seeded = bring_up(stack)
        site = stack.addresses.site
        session = signed_in(site, login=seeded.login, password=seeded.password)
        with steps.step("upload by presigned POST"):
            upload = upload_style(site, session, STYLE)
        with steps.step("serving"):
            await_serving(session, upload)
        client = openai.OpenAI(base_url=f"{site}/v1", api_key=seeded.api_key, max_retries=0, timeout=120)
        for model in (SHIPPED_MODEL, upload.model):
            with steps.step(f"answers of {model}"):
                ask(client, model)
        with steps.step("usage rows"):
            await_usage(session, {SHIPPED_MODEL: 2, upload.model: 2})
        elapsed_s = steps.elapsed_s
    sys.stderr.flush()
    print(f"SMOKE OK {elapsed_s:.0f}", flush=True)
    return 0


def upload_style(site: str, session: Session, folder: Path, *, after: Upload | None = None) -> Upload:
    """Send two files as the upload page does: create, POST each to storage, finish. Raises Miss.

    A version `after` another one of the same style waits to be promoted.
    """
    page = fetched(session, link(fetched(session, "/"), "s") + "new/")
    csrf = token(page)
    slug = after.model.rpartition("/")[2] if after else f"smoke-{secrets.token_hex(3)}"
    files = [{"name": name, "size": (folder / name).stat().st_size} for name in FILES]
    version = posted(
        session,
        attribute(page, r"<form\b[^>]*data-upload[^>]*>", "action"),
        body={
            "name": f"Smoke {slug}",
            "slug": slug,
            "description": "Uploaded by the smoke run.",
            "sample_prompt": QUESTION,
            "goes_live": after is None,
            "files": files,
        },
        csrf=csrf,
    )
    for upload in version["uploads"]:  # type: ignore[attr-defined]
        store(upload["url"], upload["fields"], folder / upload["file"])
    posted(session, str(version["finish"]), body={}, csrf=csrf)
    style_page = str(version["page"])
    return Upload(page=style_page, model="/".join(style_page.strip("/").split("/")[-2:]))


def store(url: str, fields: dict[str, str], file: Path) -> None:
    """POST one file straight to storage. Raises Miss."""
    answer = httpx2.post(url, data=fields, files={"file": (file.name, file.read_bytes())}, timeout=60)
    if not answer.is_success:
        raise Miss(f"Storage answered {answer.status_code} for {file.name}: {answer.text[:300]}")


def await_serving(session: Session, upload: Upload) -> None:
    """Watch the style's steps until its version serves. Raises Miss when it ends otherwise."""

    def serves() -> bool:
        page = fetched(session, upload.page)
        if attribute(page, r'<div\b[^>]*id="steps-[^>]*>', "data-final") != "true":
            return False
        if 'data-status="serving"' not in page:
            raise Miss(f"The upload ended without serving: see {session.base_url}{upload.page}")
        return True

    _until(serves, within_s=SERVING_WITHIN_S, what=f"{upload.model} is not serving")


def ask(client: openai.OpenAI, model: str) -> None:
    """Ask once whole and once streamed. Raises Miss unless both answer with text and count their tokens."""
    messages: list[openai.types.chat.ChatCompletionUserMessageParam] = [{"role": "user", "content": QUESTION}]
    try:
        whole = client.chat.completions.create(model=model, messages=messages, max_tokens=MAX_TOKENS)
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=messages,
                max_tokens=MAX_TOKENS,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    except openai.OpenAIError as error:
        raise Miss(f"{model} did not answer: {error}") from None
    if not whole.choices[0].message.content or not whole.usage or not whole.usage.completion_tokens:
        raise Miss(f"{model} answered without text or usage: {whole}")
    text = ""
    for chunk in chunks:
        for choice in chunk.choices:
            text += choice.delta.content or ""
    usage = chunks[-1].usage if chunks else None
    if not text or not usage or not usage.completion_tokens:
        raise Miss(f"{model} streamed no text or no usage.")


def await_usage(session: Session, requests: dict[str, int]) -> None:
    """Wait until the usage page counts exactly these requests. Raises Miss."""
    path = link(fetched(session, "/"), "u")

    def counted() -> bool:
        table = [row for row in rows(fetched(session, path)) if len(row) > 1]
        for name, count in requests.items():
            if not any(name in row[0].lower() and row[1] == str(count) for row in table):
                return False
        return True

    _until(counted, within_s=COUNTED_WITHIN_S, what=f"the usage page does not count {requests}")


def _until(check: Callable[[], bool], *, within_s: float, what: str) -> None:
    until = time.monotonic() + within_s
    while not check():
        if time.monotonic() > until:
            raise Miss(f"After {within_s:.0f} s {what}.")
        time.sleep(0.25)
