"""Logins by a browser: a code is shown here and confirmed there, and an API key comes back.

The flow is that of https://www.rfc-editor.org/rfc/rfc8628; what it ends with is a key of the workspace.
"""

from collections.abc import Sequence

import httpx

from polyscribe.errors import LoginExpired, LoginRefused, NotFound
from polyscribe.objects import Object
from polyscribe.settings import Settings
from polyscribe.transport import MANAGEMENT, RetryPolicy, Timeouts, Transport

LOGINS = f"{MANAGEMENT}/logins"
PENDING = "pending"
DENIED = "denied"


class Logins:
    """Logins at one service, without a key."""

    def __init__(
        self, base_url: str, *, retries: RetryPolicy, http_transport: httpx.BaseTransport | None = None
    ) -> None:
        settings = Settings(base_url, "")
        self._retries = retries
        self._transport = Transport(
            settings, retries=retries, timeouts=Timeouts(), http_transport=http_transport
        )

    def begin(self, name: str, scopes: Sequence[str]) -> Object:
        """Return a login: the code to confirm in a browser, and where. Raises ApiError, Unreachable."""
        return self._transport.call("POST", LOGINS, body={"name": name, "scopes": [*scopes]})

    def wait_for_key(self, login: Object) -> Object:
        """Return the key with its secret, once a person has confirmed the login.

        Raises LoginRefused, LoginExpired, ApiError, Unreachable.
        """
        ends_at = self._retries.clock() + login["expires_in_s"]
        while self._retries.clock() < ends_at:
            self._retries.sleep(login["interval_s"])
            try:
                answer = self._transport.call(
                    "POST", f"{LOGINS}/redeem", body={"device_code": login["device_code"]}
                )
            except NotFound:
                break  # the service forgets a login that is over
            if answer["status"] == DENIED:
                raise LoginRefused
            if answer["status"] != PENDING:
                key: Object = answer["key"]
                return key
        raise LoginExpired

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
