"""Names that the shell completes: of styles, versions, keys, endpoints and profiles.

Those of the service are asked for once and quickly. Whatever goes wrong, there is nothing to complete: a
message in the middle of a typed line would help nobody.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import typer

from polyscribe.client import Client
from polyscribe.errors import PolyscribeError
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

Candidate = tuple[str, str]  # what is typed, and what it is


def complete_style(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return names of styles: own ones without the workspace's name, unless that is typed."""

    def list_names(client: Client) -> Iterator[Candidate]:
        prefix = "" if "/" in incomplete else f"{client.workspace}/"
        for style in client.pages("/styles"):
            yield style["model"].removeprefix(prefix), style["name"]

    return _complete(context, incomplete, list_names)


def complete_selectable(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return names of styles of others that are not selected."""
    return _complete(context, incomplete, lambda client: _list_others(client, is_selected=False))


def complete_selected(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return names of styles of others that are selected."""
    return _complete(context, incomplete, lambda client: _list_others(client, is_selected=True))


def complete_version(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return the numbers of the versions of the style that was typed before."""
    style = context.params.get("style")

    def list_numbers(client: Client) -> Iterator[Candidate]:
        for version in client.pages(f"{client.style_path(style)}/versions") if style else ():
            yield str(version["number"]), version["status"]

    return _complete(context, incomplete, list_numbers)


def complete_key(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return the names of live keys."""

    def list_names(client: Client) -> Iterator[Candidate]:
        for key in client.pages("/keys"):
            if key["is_live"]:
                yield key["name"], key["hint"]

    return _complete(context, incomplete, list_names)


def complete_endpoint(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return the ids of webhook endpoints."""

    def list_ids(client: Client) -> Iterator[Candidate]:
        for endpoint in client.pages("/webhooks"):
            yield endpoint["id"], endpoint["url"]

    return _complete(context, incomplete, list_ids)


def complete_page(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return names of pages, and of styles."""
    pages = _beginning(incomplete, ((page, f"the page {page}") for page in PAGES))
    return pages + complete_style(context, incomplete)


def complete_profile(context: typer.Context, incomplete: str) -> list[Candidate]:
    """Return the names of profiles."""
    try:
        stored = load_profiles().stored
    except PolyscribeError:
        return []
    return _beginning(incomplete, ((name, settings.base_url) for name, settings in stored.items()))


def _list_others(client: Client, *, is_selected: bool) -> Iterator[Candidate]:
    for style in client.pages("/styles"):
        if not style["is_own"] and style["is_selected"] == is_selected:
            yield style["model"], style["name"]


def _complete(
    context: typer.Context, incomplete: str, list_names: Callable[[Client], Iterator[Candidate]]
) -> list[Candidate]:
    root = context.find_root()
    profile = root.params.get("profile") or ""
    try:
        with root.obj.open_client(profile=profile, retries=ONCE, timeouts=QUICK) as client:
            return _beginning(incomplete, list_names(client))
    except PolyscribeError:
        return []


def _beginning(incomplete: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    fitting = (candidate for candidate in candidates if candidate[0].startswith(incomplete))
    return list(islice(fitting, MOST_NAMES))
