"""Pairs: which two versions of a style are compared."""

from adapters.models import AdapterVersion, Status, Style

type VersionPair = tuple[AdapterVersion, AdapterVersion]


def serving_versions(style: Style) -> list[AdapterVersion]:
    """Return the versions of a style that serve, newest first."""
    return list(style.versions.filter(status=Status.SERVING).order_by("-number"))


def choose_pair(
    style: Style, versions: list[AdapterVersion], *, first_number: str, second_number: str
) -> VersionPair | None:
    """Return the two of some versions that are named, else the live one and the newest other one."""
    by_number = {str(version.number): version for version in versions}
    first = by_number.get(first_number) or style.live_version
    second = by_number.get(second_number)
    others = [version for version in versions if version != first]
    if first is None or not others:
        return None
    if second is None or second == first:
        second = others[0]
    return first, second
