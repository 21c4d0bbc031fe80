"""What to do about a refused request: one link for each error code that has a page to go to."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Remedy:
    """Where a person mends the cause of a refusal."""

    label: str | Promise
    address_name: str
    arguments: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The page's address."""
        return reverse(self.address_name, args=self.arguments)


_API_GUIDE = Remedy(_("Read the API reference"), "guide", ("api",))
_STATUS = Remedy(_("Check the service status"), "status")
_KEYS = Remedy(_("Open API keys"), "keys:keys")

REMEDIES = {
    "insufficient_quota": Remedy(_("See your remaining limits"), "billing:usage"),
    "rate_limit_exceeded": Remedy(_("See the limits of your plan"), "billing:plan"),
    "too_many_sequences": Remedy(_("See the limits of your plan"), "billing:plan"),
    "model_not_found": Remedy(_("View your styles"), "adapters:catalogue"),
    "insufficient_scope": _KEYS,
    "invalid_api_key": _KEYS,
    "server_is_overloaded": _STATUS,
    "engine_stopped": _STATUS,
    "request_failed": _STATUS,
}


def find_remedy(code: str) -> Remedy:
    """Return what to do about an error code; of a code without a page of its own, the API's guide."""
    return REMEDIES.get(code, _API_GUIDE)
