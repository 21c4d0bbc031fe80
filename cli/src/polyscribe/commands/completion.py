"""Names that the shell completes: of styles, versions, keys, endpoints and profiles.

Those of the service are asked for once and quickly. Whatever goes wrong, there is nothing to complete: a
message in the middle of a typed line would help nobody.
"""

from collections.abc import Callable, Iterable
from itertools import islice

from typer import Context

from polyscribe.client import Client
from polyscribe.errors import Object, PolyscribeError
from polyscribe.settings import load_profiles
from polyscribe.transport import RetryPolicy, Timeouts

ONCE = RetryPolicy(attempts=1)
QUICK = Timeouts(connect_s=1.0, answer_s=1.5, token_s=1.5)
MOST_NAMES = 100

# Pages that `open` knows, and their paths.
PAGES = {
    "home": "/home/",
    "styles": "/styles/",
    "playground": "/playground/",
    "usage": "/usage/",
    "requests": "/usage/requests/",
    "keys": "/keys/",
    "webhooks": "/webhooks/",
    "plan": "/billing/plan/",
    "team": "/team/",
    "settings": "/settings/",
    "docs": "/docs/",
}

Candidates = Iterable[tuple[str, str]]  # what is typed, and what it is
Complete = Callable[[Context, str], list[tuple[str, str]]]


def _completion(list_candidates: Callable[[Client, Context, str], Candidates]) -> Complete:
    def complete(context: Context, incomplete: str) -> list[tuple[str, str]]:
        root = context.find_root()
        profile = root.params.get("profile") or ""
        try:
            with root.obj.open_client(profile=profile, retries=ONCE, timeouts=QUICK) as client:
                return _beginning(incomplete, list_candidates(client, context, incomplete))
        except PolyscribeError:
            return []

    return complete


def _listed(
    path: str, name: str, meaning: str, is_wanted: Callable[[Object], bool] = lambda _: True
) -> Complete:
    """Complete from a list of the service by two fields of what it lists."""
    return _completion(
        lambda client, *_: ((one[name], one[meaning]) for one in client.pages(path) if is_wanted(one))
    )


def _styles(client: Client, _: Context, incomplete: str) -> Candidates:
    """Yield own styles without the workspace's name, unless that is typed."""
    prefix = "" if "/" in incomplete else f"{client.workspace}/"
    for style in client.pages("/styles"):
        yield style["model"].removeprefix(prefix), style["name"]


def _versions(client: Client, context: Context, _: str) -> Candidates:
    """Yield the numbers of the versions of the style that was typed before."""
    style = context.params.get("style")
    for version in client.pages(f"{client.style_path(style)}/versions") if style else ():
        yield str(version["number"]), version["status"]


complete_style = _completion(_styles)
complete_version = _completion(_versions)
complete_selectable = _listed(
    "/styles", "model", "name", lambda style: not (style["is_own"] or style["is_selected"])
)
complete_selected = _listed(
    "/styles", "model", "name", lambda style: not style["is_own"] and style["is_selected"]
)
complete_key = _listed("/keys", "name", "hint", lambda key: key["is_live"])
complete_endpoint = _listed("/webhooks", "id", "url")


def complete_page(context: Context, incomplete: str) -> list[tuple[str, str]]:
    pages = _beginning(incomplete, ((page, f"the page {page}") for page in PAGES))
    return pages + complete_style(context, incomplete)


def complete_profile(incomplete: str) -> list[tuple[str, str]]:
    try:
        stored = load_profiles().stored
    except PolyscribeError:
        return []
    return _beginning(incomplete, ((name, settings.base_url) for name, settings in stored.items()))


def _beginning(incomplete: str, candidates: Candidates) -> list[tuple[str, str]]:
    return list(islice((one for one in candidates if one[0].startswith(incomplete)), MOST_NAMES))
