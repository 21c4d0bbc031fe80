"""The public face of the client: one service, one key, and what it may do there."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from urllib.parse import quote
from uuid import UUID

import httpx

from polyscribe.errors import DownloadFailed, NotFound, Unreachable
from polyscribe.objects import Object
from polyscribe.push.observer import PushObserver
from polyscribe.push.request import PushRequest
from polyscribe.push.uploader import Pusher
from polyscribe.resources.account import Keys, Usage
from polyscribe.resources.chat import Chat
from polyscribe.resources.provenance import Provenance
from polyscribe.resources.styles import Releases, Styles, Versions
from polyscribe.resources.trainings import Trainings
from polyscribe.resources.uploads import Uploads
from polyscribe.resources.webhooks import Webhooks
from polyscribe.settings import hint_of, resolve_settings
from polyscribe.train.observer import TrainingObserver
from polyscribe.train.texts import gather_texts
from polyscribe.train.trainer import Trainer
from polyscribe.transport import MANAGEMENT, WRITING, Query, RetryPolicy, Timeouts, Transport, describe

STORAGE_TIMEOUT_S = 60.0
CHUNK_BYTES = 1024 * 1024


class Client:
    """What a key may do at a service. Objects are dictionaries, with the fields that docs/api.md describes.

    The key and the address come from the arguments, else from POLYSCRIBE_API_KEY and POLYSCRIBE_BASE_URL,
    else from what `polyscribe login` stored: under the name `profile`, or POLYSCRIBE_PROFILE, or as the
    current one. A client may be used from several threads.

        from polyscribe import Client

        client = Client()
        client.push("out/adapter", style="brand-voice")
        print(client.chat.complete("brand-voice", "Describe the rain."))
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
        self.settings = resolve_settings(api_key, base_url, profile)
        self._retries = retries or RetryPolicy()
        self._transport = Transport(
            self.settings,
            retries=self._retries,
            timeouts=timeouts or Timeouts(),
            http_transport=http_transport,
        )
        self._storage_transport = storage_transport
        self.styles = Styles(self._transport, self._address_of_style)
        self.versions = Versions(self._transport, self._address_of_style)
        self.releases = Releases(self._transport, self._address_of_style)
        self.trainings = Trainings(self._transport)
        self.trainer = Trainer(self.trainings, self._retries, storage_transport)
        self.uploads = Uploads(self._transport)
        self.keys = Keys(self._transport)
        self.usage = Usage(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.chat = Chat(self._transport)
        self.provenance = Provenance(self._transport)

    def __repr__(self) -> str:
        return f"Client({self.settings.base_url!r}, key {hint_of(self.settings.api_key)})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def whoami(self) -> Object:
        """Return the key: its name, hint, scopes, workspace, styles, and limits with what is left of them."""
        return self._transport.call("GET", f"{WRITING}/key")

    def request(
        self, method: str, path: str, *, query: Query | None = None, body: object = None
    ) -> Object | None:
        """Return what any address of the service answers; None for nothing. Raises ApiError, Unreachable.

        `path` begins with /v1/ or /api/v1/.
        """
        return self._transport.call(method, path, query=query, body=body) or None

    def pages(self, path: str, query: Query | None = None) -> Iterator[Object]:
        """Yield every object of a list of the API, page by page."""
        return self._transport.pages(path, query)

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

    @cached_property
    def workspace(self) -> str:
        """The slug of the key's workspace."""
        slug: str = self.settings.workspace or self.whoami()["workspace"]["slug"]
        return slug

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
        pusher = Pusher(
            styles=self.styles,
            versions=self.versions,
            releases=self.releases,
            uploads=self.uploads,
            base_url=self.settings.base_url,
            workspace=self.workspace,
            retries=self._retries,
            storage_transport=self._storage_transport,
        )
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

        It costs what `trainings.estimate` says at most, and is started without asking. `rights` states that
        the texts are yours, or that you may train on them. Raises NoTexts, TextsRefused, TrainingFailed,
        TrainingCancelled, TrainingPaused, StorageRefused, ApiError, Unreachable.
        """
        watching = observer or TrainingObserver()
        texts = gather_texts([Path(file) for file in files], pasted=text)
        training = self.trainings.create(style, name=name or style.replace("-", " ").capitalize())
        self.trainer.send_texts(training["id"], texts, watching)
        self.trainer.wait_for_estimate(training["id"], watching)
        self.trainings.start(training["id"], rights=rights, keep_documents=keep_documents)
        return self.trainer.follow(training["id"], watching)

    def find_style(self, name: str) -> Object:
        """Return a style by what `model` takes, as `poetry`, or by its id. Raises NotFound."""
        if "/" in name or is_id(name):
            return self.styles.get(name)
        own = f"{self.workspace}/{name}"
        for style in self.styles.list(search=name):
            if style["model"] in (name, own):
                return style
        sentence = f"No such style: “{name}”. List your styles with polyscribe styles."
        raise NotFound(sentence, status=404, code="style_not_found")

    def full_name(self, style: str) -> str:
        """Return a style's full name, `owner/style`; a short one is the workspace's own, an id stays."""
        if "/" in style or is_id(style):
            return style
        return f"{self.workspace}/{style}"

    def _address_of_style(self, style: str) -> str:
        return f"{MANAGEMENT}/styles/{quote(self.full_name(style))}"


def is_id(text: str) -> bool:
    """Return whether a text is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
