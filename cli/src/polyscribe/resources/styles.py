"""Styles, their versions, and which version answers."""

from collections.abc import Callable, Iterator, Mapping

from polyscribe.objects import Object
from polyscribe.transport import MANAGEMENT, Transport

STYLES = f"{MANAGEMENT}/styles"

AddressOfStyle = Callable[[str], str]
Erasures = list[Object]  # in a class with a method `list`, `list` is that


class Styles:
    """The styles that the workspace can write in, and its own."""

    def __init__(self, transport: Transport, address_of: AddressOfStyle) -> None:
        self._transport = transport
        self._address_of = address_of

    def list(self, *, kind: str = "", search: str = "", order: str = "") -> Iterator[Object]:
        """Yield styles. `kind` is own, shared, public or selected; empty: all of them."""
        return self._transport.pages(STYLES, {"kind": kind, "search": search, "order": order})

    def get(self, style: str) -> Object:
        """Return a style. Raises NotFound."""
        return self._transport.call("GET", self._address_of(style))

    def create(self, slug: str, *, name: str, **texts: str) -> Object:
        """Return a new style without a version. `texts` are its description, sample_prompt and sample."""
        body = {"slug": slug, "name": name, **texts}
        return self._transport.call("POST", STYLES, body=body)

    def edit(self, style: str, **words: object) -> Object:
        """Change what people read about a style: its name, description, tags and so on; return it."""
        return self._transport.call("PATCH", self._address_of(style), body=words)

    def delete(self, style: str, *, at_once: bool = False) -> Erasures:
        """Begin to erase a style for good; return the erasures of its versions.

        `at_once`: though other workspaces lose it.
        """
        answer = self._transport.call("DELETE", self._address_of(style), body={"at_once": at_once})
        erasures: Erasures = answer["data"]
        return erasures

    def check_draft(self, style: str, text: str) -> Object:
        """Return how close a text is to the author of an own style. The service doesn't store it."""
        return self._transport.call("POST", f"{self._address_of(style)}/draft_checks", body={"text": text})

    def select(self, style: str) -> Object:
        """Let the workspace write in a public or shared style; return it."""
        return self._transport.call("PUT", f"{self._address_of(style)}/selection")

    def unselect(self, style: str) -> None:
        """Take a style of others out of the workspace's library."""
        self._transport.call("DELETE", f"{self._address_of(style)}/selection")


class Versions:
    """The versions of a style: each is immutable, and is called by its number."""

    def __init__(self, transport: Transport, address_of: AddressOfStyle) -> None:
        self._transport = transport
        self._address_of = address_of

    def list(self, style: str) -> Iterator[Object]:
        """Yield the versions, newest first."""
        return self._transport.pages(self._address(style))

    def get(self, style: str, number: int) -> Object:
        """Return a version. Raises NotFound."""
        return self._transport.call("GET", self._address(style, number))

    def create(
        self,
        style: str,
        *,
        files: Mapping[str, int],
        auto_promote: bool = True,
        quantisation: str = "",
        idempotency_key: str = "",
    ) -> Object:
        """Return a new version whose files, name → size in bytes, are still to be sent in parts."""
        body = {
            "files": [{"name": name, "size_bytes": size_bytes} for name, size_bytes in files.items()],
            "auto_promote": auto_promote,
            "stated_quantisation": quantisation,
            "method": "multipart",
        }
        return self._transport.call("POST", self._address(style), body=body, idempotency_key=idempotency_key)

    def report(self, style: str, number: int) -> Object:
        """Return what validation found: a code, a sentence and a fix for each finding."""
        return self._transport.call("GET", f"{self._address(style, number)}/report")

    def promote(self, style: str, number: int) -> Object:
        """Let a version answer for its style from the next request on; return it."""
        return self._transport.call("POST", f"{self._address(style, number)}/promote")

    def retire(self, style: str, number: int, *, at_once: bool = False) -> Object:
        """Take a version out of service for good; return it. `at_once`: though others lose it."""
        address = f"{self._address(style, number)}/retire"
        return self._transport.call("POST", address, body={"at_once": at_once})

    def download_urls(self, style: str, number: int) -> Object:
        """Return the files of an own version, each with an address that is valid for some minutes."""
        return self._transport.call("POST", f"{self._address(style, number)}/download")

    def _address(self, style: str, number: int | None = None) -> str:
        address = f"{self._address_of(style)}/versions"
        return address if number is None else f"{address}/{number}"


class Releases:
    """Which version answers for a style: the live one, and a canary for a share of the requests."""

    def __init__(self, transport: Transport, address_of: AddressOfStyle) -> None:
        self._transport = transport
        self._address_of = address_of

    def list(self, style: str) -> Iterator[Object]:
        """Yield the releases, newest first."""
        return self._transport.pages(f"{self._address_of(style)}/releases")

    def roll_back(self, style: str) -> Object:
        """Let the version before answer again; return it."""
        return self._transport.call("POST", f"{self._address_of(style)}/rollback")

    def canary(self, style: str) -> Object:
        """Return the canary with its figures. Raises NotFound without one."""
        return self._transport.call("GET", f"{self._address_of(style)}/canary")

    def set_canary(self, style: str, number: int, percent: int) -> Object:
        """Give a version a share of the requests, or change its share; return the canary."""
        body = {"version": number, "percent": percent}
        return self._transport.call("PUT", f"{self._address_of(style)}/canary", body=body)

    def end_canary(self, style: str) -> None:
        """End the canary: the live version answers all requests again."""
        self._transport.call("DELETE", f"{self._address_of(style)}/canary")
