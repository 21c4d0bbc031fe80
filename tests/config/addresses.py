"""Every address of the site."""

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.config.things import Arguments

# Of other packages, which have rules and tests of their own: who is signed in, and the console.
# Below v1/ only keys open anything: tests/training/openai_api.
OTHERS = ("accounts/", "console/", "v1/")
SEEN_BY_ALL = {
    "home",
    "healthz",
    "readyz",
    "script_words",
    "security_txt",
    "mailbox",
    "mail_html",
    "api_schema",
    "api_reference",
    "robots_txt",
    "favicon",
    "touch_icon",
    "prices",
    "guides",
    "guide",
    "guide_file",
    "status",
    "verify",
    "receipt_keys",
    "terms",
    "privacy",
    "unsubscribe",  # its token is what lets a person in
    "join",  # the token of an invitation is what lets a person in
    "logins.begin",
    "logins.redeem",  # the code, and who confirms it, let a program in
    "stripe_events",  # its signature is what lets Stripe in
}


def addresses(
    resolver: URLResolver, prefix: str = "", namespace: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of every address, with its arguments."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        if route.startswith(OTHERS):
            continue
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else namespace
            yield from addresses(entry, route, inner)
        elif isinstance(entry, URLPattern) and entry.name and entry.name not in SEEN_BY_ALL:
            yield namespace + str(entry.name), list(entry.pattern.converters)


# A word that an address does not know is 404 to the owner, too.
ACTIONS = {"adapters:offer": "offer", "adapters:change_share": "revoke"}
ALL = dict(addresses(get_resolver()))
API = "api:"
PAGES = [name for name in ALL if not name.startswith(API)]


def address_of(name: str, arguments: Arguments) -> str:
    known = {**arguments, "action": ACTIONS.get(name)}
    return reverse(name, kwargs={argument: known[argument] for argument in ALL[name]})
