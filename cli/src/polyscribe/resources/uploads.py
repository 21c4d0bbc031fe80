"""Uploads: which parts the storage has, and the steps of a version until it serves."""

import json
from collections.abc import Iterator

import httpx

from polyscribe.errors import Unreachable
from polyscribe.events import parse_events
from polyscribe.objects import Object
from polyscribe.transport import MANAGEMENT, Transport, describe

UPLOADS = f"{MANAGEMENT}/uploads"
END = "end"


class Uploads:
    """The upload of a version, by the version's id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, version_id: str, *, parts: str = "") -> Object:
        """Return an upload: its status, steps and files; with `parts` also where to send missing ones."""
        return self._transport.call("GET", self._address(version_id), query={"parts": parts})

    def finish(self, version_id: str) -> Object:
        """Say that every part is there; return the upload."""
        return self._transport.call("POST", f"{self._address(version_id)}/finish")

    def abort(self, version_id: str) -> None:
        """Give an upload up; what was sent is deleted."""
        self._transport.call("DELETE", self._address(version_id))

    def events(self, version_id: str) -> Iterator[Object]:
        """Yield the upload now and at each change of its version, until that is final or the stream ends.

        Raises ApiError, and Unreachable when the stream breaks before its end.
        """
        address = f"{self._address(version_id)}/events"
        # Who gets no stream asks again and again instead, so there is no waiting for one.
        response = self._transport.send(
            "GET", address, is_stream=True, is_retried=False, accept="text/event-stream"
        )
        try:
            for event in parse_events(response.iter_lines()):
                yield json.loads(event.data)
                if event.name == END:
                    return
        except httpx.TransportError as error:
            raise Unreachable(f"The event stream was interrupted ({describe(error)}).") from error
        finally:
            response.close()

    def _address(self, version_id: str) -> str:
        return f"{UPLOADS}/{version_id}"
