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
from polyscribe.push.uploader import Pusher, PushRequest
from polyscribe.settings import hint_of, resolve_settings
from polyscribe.train import Trainer, TrainingObserver, gather_texts
from polyscribe.transport import RetryPolicy, Timeouts, Transport, describe

STORAGE_TIMEOUT_S = 60.0
CHUNK_BYTES = 1024 * 1024
COMPLETIONS = "/v1/chat/completions"
STREAM_END = "[DONE]"

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
        storage_transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Raises NotLoggedIn without a key, NoSuchProfile and BadAddress. Nothing is sent yet."""
        settings = resolve_settings(api_key, base_url, profile)
        super().__init__(settings, retries=retries, timeouts=timeouts, http_transport=http_transport)
        self._storage_transport = storage_transport
        self.chat = Chat(self)
        self.trainer = Trainer(self, storage_transport)

    def __repr__(self) -> str:
        return f"Client({self.settings.base_url!r}, key {hint_of(self.settings.api_key)})"

    def whoami(self) -> Object:
        """Return the key: its name, hint, scopes, workspace, styles, and limits with what is left of them."""
        return self.get("/v1/key")

    @cached_property
    def workspace(self) -> str:
        """The slug of the key's workspace."""
        slug: str = self.settings.workspace or self.whoami()["workspace"]["slug"]
        return slug

    def full_name(self, style: str) -> str:
        """Return a style's full name, `owner/style`; a short one is the workspace's own, an id stays."""
        if "/" in style or is_id(style):
            return style
        return f"{self.workspace}/{style}"

    def style_path(self, style: str) -> str:
        """Return a style's path, such as `/styles/acme/brand-voice`. Its versions are at `…/versions`."""
        return f"/styles/{quote(self.full_name(style))}"

    def find_style(self, name: str) -> Object:
        """Return a style by what `model` takes, as `poetry`, or by its id. Raises NotFound."""
        if "/" in name or is_id(name):
            return self.get(self.style_path(name))
        own = f"{self.workspace}/{name}"
        for style in self.pages("/styles", {"search": name}):
            if style["model"] in (name, own):
                return style
        sentence = f"No such style: “{name}”. List your styles with polyscribe styles."
        raise NotFound(sentence, status=404, code="style_not_found")

    def read_stored_file(self, url: str) -> Iterator[bytes]:
        """Yield the bytes behind an address that the service signed. The key is not sent there.

        Raises Unreachable, DownloadFailed.
        """
        try:
            with (
                httpx.Client(timeout=STORAGE_TIMEOUT_S, transport=self._storage_transport) as storage,
                storage.stream("GET", url) as answer,
            ):
                if not answer.is_success:
                    raise DownloadFailed
                yield from answer.iter_bytes(CHUNK_BYTES)
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

        A style that does not exist is created. With `canary_percent` the version gets a share of the requests
        instead of all of them. A push that was cut off goes on where it stopped when it is called again.
        `timeout_s` is how long it waits, once all is sent, until the version serves.
        Raises FolderRejected, VersionRejected or VersionFailed with findings, FolderChanged, NotServingYet,
        ApiError, Unreachable.
        """
        request = PushRequest(
            folder=Path(folder),
            style=self.full_name(style),
            name=name,
            description=description,
            sample_prompt=sample_prompt,
            quantisation=quantisation,
            promote=promote,
            canary_percent=canary_percent,
            timeout_s=timeout_s,
        )
        pusher = Pusher(self, workspace=self.workspace, storage_transport=self._storage_transport)
        return pusher.push(request, observer or PushObserver())

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

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def complete(self, style: str, prompt: str | Sequence[Message], **options: object) -> str:
        """Return the answer to a prompt, or to a chat's messages. Options are the API's: `max_tokens`, …"""
        body = {"model": style, "messages": as_messages(prompt), **options}
        answer = self._transport.post(COMPLETIONS, body)
        return answer["choices"][0]["message"]["content"] or ""

    def stream(self, style: str, prompt: str | Sequence[Message], **options: object) -> Iterator[str]:
        """Yield the answer in pieces as it is written. Raises ApiError, Unreachable; also in the middle."""
        body = {"model": style, "messages": as_messages(prompt), "stream": True, **options}
        for response, event in self._transport.events("POST", COMPLETIONS, body, what="The answer"):
            if event.data == STREAM_END:
                return
            chunk = json.loads(event.data)
            if "error" in chunk:
                failure = chunk["error"]
                raise ApiError(
                    str(failure["message"]),
                    status=response.status_code,
                    code=str(failure["code"]),
                    request_id=response.headers.get("x-request-id", ""),
                )
            for choice in chunk["choices"]:
                yield choice["delta"].get("content") or ""
        raise Unreachable("The answer ended early. Try again.")


def as_messages(prompt: str | Sequence[Message]) -> list[Message]:
    """Return the messages of a chat; a text is one of its user."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [*prompt]


def is_id(text: str) -> bool:
    """Return whether a text is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
