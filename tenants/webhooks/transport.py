"""One POST to one address that `addresses` has checked: no redirects, no proxies, one deadline, few bytes.

The socket is opened here and given to the standard library's HTTP client. A library with pools would look the
name up again, follow redirects, read proxies from the environment and repeat what failed. The deadline holds
over all of it, from the name server to the body: a time limit of a socket begins anew with each byte, so a
receiver that sends one byte a second could hold a worker for hours.
"""

import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop as _

from core.errors import DomainError
from core.messages import NO_MESSAGE, Message, MessageCode
from tenants.webhooks import addresses
from tenants.webhooks.addresses import ResolvedTooLate, Target

KIB = 1024


@dataclass(frozen=True)
class AttemptLimits:
    """What one delivery may take. Tests give shorter ones."""

    total_s: float = 10.0
    read_bytes: int = 64 * KIB  # of an answer's body; the rest is never read
    received_bytes: int = 160 * KIB  # of all that comes: before the body it could be headers without end
    allows_loopback: bool | None = None  # None: as the settings say
    trusted: ssl.SSLContext | None = None  # None: the certificates that this machine trusts


@dataclass(frozen=True)
class EndpointAnswer:
    """What came back: a status and the body's beginning, or why nothing did."""

    latency_ms: int
    status_code: int | None = None
    body: bytes = b""
    failure: Message = NO_MESSAGE

    @property
    def is_success(self) -> bool:
        """True for 2xx: nothing else tells that the receiver has taken the event."""
        return self.status_code is not None and 200 <= self.status_code < 300


class DeadlinePassed(TimeoutError):
    """The deadline of a delivery has passed."""


class TooMuchReceived(OSError):
    """More bytes came than a delivery reads."""


class NoAnswer(MessageCode):
    """Why no answer came."""

    RESOLVED_TOO_LATE = _("The DNS lookup timed out.")
    TOO_LATE = _("No complete response within {total_s:g} seconds.")
    BAD_CERTIFICATE = _("The TLS certificate is invalid: {reason}.")
    NO_TLS = _("The TLS handshake failed. Does the URL support https?")
    REFUSED = _("The connection was refused.")
    TOO_MUCH = _("The response headers are too large.")
    BROKE_OFF = _("The connection was closed before a response arrived.")
    NO_HTTP = _("The response is not valid HTTP.")


# The first that fits: some of these errors are kinds of others.
FAULTS: dict[type[Exception], NoAnswer] = {
    ResolvedTooLate: NoAnswer.RESOLVED_TOO_LATE,
    TimeoutError: NoAnswer.TOO_LATE,
    ssl.SSLCertVerificationError: NoAnswer.BAD_CERTIFICATE,
    ssl.SSLError: NoAnswer.NO_TLS,
    ConnectionRefusedError: NoAnswer.REFUSED,
    TooMuchReceived: NoAnswer.TOO_MUCH,
    OSError: NoAnswer.BROKE_OFF,
}


class _Bounded:
    """Makes a socket receive until a deadline, and so many bytes at most."""

    deadline_s: float | None = None  # on the monotonic clock; None: during the handshake, which has its own
    bytes_left = 0

    def recv_into(self, *args: object) -> int:
        """Receive as a socket does. Raises DeadlinePassed or TooMuchReceived."""
        if self.deadline_s is not None:
            self.settimeout(_left_s(self.deadline_s))  # type: ignore[attr-defined]
        received = int(super().recv_into(*args))  # type: ignore[misc]
        self.bytes_left -= received
        if self.deadline_s is not None and self.bytes_left < 0:
            raise TooMuchReceived
        return received


class _BoundedSocket(_Bounded, socket.socket):
    """Plain TCP with bounds."""


class _BoundedTlsSocket(_Bounded, ssl.SSLSocket):
    """TLS with bounds."""


def post(url: str, body: bytes, headers: Mapping[str, str], limits: AttemptLimits) -> EndpointAnswer:
    """Send a body to an endpoint's URL and return its answer. What went wrong is an answer, too."""
    began_s = time.monotonic()
    deadline_s = began_s + limits.total_s
    status_code: int | None = None
    answered = b""
    failure = Message()
    try:
        target, connected = _connect(url, limits, deadline_s)
        with connected:
            answer = _request(connected, target, body, headers)
            status_code = answer.status
            answered = _read(answer, limits.read_bytes)
    except DomainError as error:
        failure = Message.of(error)
    except (HTTPException, OSError, ValueError) as error:
        status_code = None
        failure = _describe(error, limits)
    latency_ms = round((time.monotonic() - began_s) * 1000)
    return EndpointAnswer(latency_ms=latency_ms, status_code=status_code, body=answered, failure=failure)


def trust(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context whose connections can be bounded."""
    context.sslsocket_class = _BoundedTlsSocket
    return context


def _connect(url: str, limits: AttemptLimits, deadline_s: float) -> tuple[Target, socket.socket]:
    """Return a connection to the first checked address that takes one. Raises the last one's error."""
    allows_loopback = limits.allows_loopback
    if allows_loopback is None:
        allows_loopback = settings.WEBHOOKS_TO_LOOPBACK
    target = addresses.parse_url(url, allows_loopback=allows_loopback)
    checked = addresses.resolve(target, allows_loopback=allows_loopback, within_s=_left_s(deadline_s))
    failed: OSError = ConnectionError()
    for address in checked:
        try:
            return target, _open(address, target, limits, deadline_s)
        except OSError as error:
            failed = error
    raise failed


def _open(address: str, target: Target, limits: AttemptLimits, deadline_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as closing:
        connected: Any = closing.enter_context(_BoundedSocket(family, socket.SOCK_STREAM))
        connected.settimeout(_left_s(deadline_s))
        connected.connect((address, target.port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.is_secure:
            connected.settimeout(_left_s(deadline_s))  # the handshake's, as a whole
            context = limits.trusted or _system_trust()
            # To the address that was checked, while TLS names the host and demands its certificate.
            secured = context.wrap_socket(connected, server_hostname=target.host.rstrip("."))
            connected = closing.enter_context(secured)
        connected.deadline_s = deadline_s
        connected.bytes_left = limits.received_bytes
        connected.settimeout(_left_s(deadline_s))  # the sending's, as a whole
        closing.pop_all()  # it went well: the sender closes it
    return connected  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _system_trust() -> ssl.SSLContext:
    return trust(ssl.create_default_context())  # reads some hundred certificates: once a process


def _request(
    connected: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]
) -> HTTPResponse:
    """Send a request over an open connection and return its answer, with the headers read."""
    client = HTTPConnection(target.host, target.port)
    client.sock = connected
    own_headers = {"Host": target.host_header, "Accept-Encoding": "identity", "Connection": "close"}
    client.request("POST", target.path, body=body, headers={**own_headers, **headers})
    return client.getresponse()


def _read(answer: HTTPResponse, limit_bytes: int) -> bytes:
    """Return the beginning of an answer's body. A receiver that breaks off in it has answered anyway."""
    with answer:
        try:
            return answer.read(limit_bytes)
        except TimeoutError:
            raise
        except (HTTPException, OSError, ValueError):
            return b""


def _left_s(deadline_s: float) -> float:
    """Return the seconds until a deadline. Raises DeadlinePassed."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise DeadlinePassed
    return left_s


def _describe(error: Exception, limits: AttemptLimits) -> Message:
    """Return why there is no answer, for the endpoint's owner."""
    for kind, fault in FAULTS.items():
        if isinstance(error, kind):
            reason = getattr(error, "verify_message", "").removesuffix(".")
            return fault(reason=reason, total_s=limits.total_s)
    return NoAnswer.NO_HTTP()
