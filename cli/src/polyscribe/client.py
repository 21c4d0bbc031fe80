"""The public face of the client: one service, one key, and what it may do there."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx

from polyscribe.errors import ApiError, DownloadFailed, NotFound, Object, Unreachable
from polyscribe.push.parts import PushObserver
from polyscribe.push.uploader import Push
from polyscribe.settings import hint_of, resolve_settings
from polyscribe.train import Trainer, TrainingObserver, gather_texts
from polyscribe.transport import RetryPolicy, Timeouts, Transport, describe

__all__ = ["Client", "PushObserver", "RetryPolicy", "Timeouts", "TrainingObserver"]
COMPLETIONS = "/v1/chat/completions"

Message = dict[str, str]


class Client(Transport):
    """What a key may do at a service. Objects are dictionaries, with the fields that docs/api.md describes.

    The key and the address come from the arguments, else from POLYSCRIBE_API_KEY and POLYSCRIBE_BASE_URL,
    else from what `polyscribe login` stored: under the name `profile`, or POLYSCRIBE_PROFILE, or as the
    current one. A client may be used from several threads.

        from polyscribe import Client

        client = Client()
        client.push("out/adapter", style="brand-voice")
        print(client.chat.complete("brand-voice", "Describe the rain."))
        client.post("/keys", {"name": "newsletter"})
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        profile: str | None = None,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        http_transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises NotLoggedIn without a key, NoSuchProfile and BadAddress. Nothing is sent yet."""
        settings = resolve_settings(api_key, base_url, profile)
        super().__init__(settings, retries=retries, timeouts=timeouts, http_transport=http_transport)
        self.chat = Chat(self)
        self.trainer = Trainer(self)

    def __repr__(self) -> str:
        return f"Client({self.settings.base_url!r}, key {hint_of(self.settings.api_key)})"

    def whoami(self) -> Object:
        """Return the key: its name, hint, scopes, workspace, styles, and limits with what is left of them."""
        return self.get("/v1/key")

    @cached_property
    def workspace(self) -> str:
        slug: str = self.settings.workspace or self.whoami()["workspace"]["slug"]
        return slug

    def full_name(self, style: str) -> str:
        """Return a style's full name, `owner/style`; a short one is the workspace's own, an id stays."""
        return style if "/" in style or is_id(style) else f"{self.workspace}/{style}"

    def style_path(self, style: str) -> str:
        """Return a style's path, such as `/styles/acme/brand-voice`. Its versions are at `…/versions`."""
        return f"/styles/{quote(self.full_name(style))}"

    def find_style(self, name: str) -> Object:
        """Return a style by what `model` takes, as `poetry`, or by its id. Raises NotFound."""
        if "/" in name or is_id(name):
            return self.get(self.style_path(name))
        for style in self.pages("/styles", {"search": name}):
            if style["model"] in (name, f"{self.workspace}/{name}"):
                return style
        sentence = f"No such style: “{name}”. List your styles with polyscribe styles."
        raise NotFound(sentence, status=404, code="style_not_found")

    def read_stored_file(self, url: str) -> Iterator[bytes]:
        """Yield the bytes behind an address that the service signed. Raises Unreachable, DownloadFailed."""
        try:
            with self.storage.stream("GET", url) as answer:
                if not answer.is_success:
                    raise DownloadFailed
                yield from answer.iter_bytes(1024 * 1024)
        except httpx.TransportError as error:
            raise Unreachable(f"The storage is not responding ({describe(error)}).") from error

    def push(
        self,
        folder: str | Path,
        *,
        style: str,
        name: str = "",
        description: str = "",
        sample_prompt: str = "",
        quantisation: str = "",
        promote: bool = True,
        canary_percent: int | None = None,
        timeout_s: float | None = None,
        observer: PushObserver | None = None,
    ) -> Object:
        """Send the adapter in a folder as a new version of a style; return the version once it serves.

        A style that does not exist is created, with `name`, `description` and `sample_prompt`. `quantisation`
        is that of the base in training: none, 4-bit, 8-bit, other. With `canary_percent` the version gets a
        share of the requests instead of all of them. A push that was cut off goes on where it stopped when it
        is called again. `timeout_s` is how long it waits, once all is sent, until the version serves.
        Raises FolderRejected, VersionRejected or VersionFailed with findings, FolderChanged, NotServingYet,
        StorageRefused, ApiError, Unreachable.
        """
        push = Push(
            self,
            Path(folder),
            workspace=self.workspace,
            style=self.full_name(style),
            new_style={"name": name, "description": description, "sample_prompt": sample_prompt},
            quantisation=quantisation,
            auto_promote=promote and canary_percent is None,
            observer=observer or PushObserver(),
        )
        return push.run(canary_percent=canary_percent, timeout_s=timeout_s)

    def train(
        self,
        style: str,
        files: Sequence[str | Path],
        *,
        rights: bool,
        name: str = "",
        text: str = "",
        keep_documents: bool = False,
        observer: TrainingObserver | None = None,
    ) -> Object:
        """Train a style on texts, and return the training once it has succeeded: its `model` is the version.

        It costs what the estimate says at most, and is started without asking. `rights` states that the
        texts are yours, or that you may train on them. Raises NoTexts, TextsRefused, TrainingFailed,
        TrainingCancelled, TrainingPaused, StorageRefused, ApiError, Unreachable.
        """
        watching = observer or TrainingObserver()
        texts = gather_texts([Path(file) for file in files], pasted=text)
        training_id = self.trainer.create(style, name)
        self.trainer.send_texts(training_id, texts, watching)
        self.trainer.wait_for_estimate(training_id, watching)
        self.trainer.start(training_id, rights=rights, keep_documents=keep_documents)
        return self.trainer.follow(training_id, watching)


class Chat:
    """Chats in a style. `style` is a model's name: `brand-voice`, `acme/brand-voice`, `brand-voice@3`."""

    def __init__(self, service: Transport) -> None:
        self._service = service

    def complete(self, style: str, prompt: str | Sequence[Message], **options: object) -> str:
        """Return the answer to a prompt, or to a chat's messages. Options are the API's: `max_tokens`, …"""
        answer = self._service.post(COMPLETIONS, _chat_body(style, prompt, options))
        return answer["choices"][0]["message"]["content"] or ""

    def stream(self, style: str, prompt: str | Sequence[Message], **options: object) -> Iterator[str]:
        """Yield the answer in pieces as it is written. Raises ApiError, Unreachable; also in the middle."""
        body = _chat_body(style, prompt, {**options, "stream": True})
        for response, _, data in self._service.events("POST", COMPLETIONS, body, what="The answer"):
            if data == "[DONE]":
                return
            chunk = json.loads(data)
            if "error" in chunk:
                raise ApiError(
                    str(chunk["error"]["message"]),
                    status=response.status_code,
                    code=str(chunk["error"]["code"]),
                    request_id=response.headers.get("x-request-id", ""),
                )
            for choice in chunk["choices"]:
                yield choice["delta"].get("content") or ""
        raise Unreachable("The answer ended early. Try again.")


def _chat_body(style: str, prompt: str | Sequence[Message], options: Object) -> Object:
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [*prompt]
    return {"model": style, "messages": messages, **options}


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
