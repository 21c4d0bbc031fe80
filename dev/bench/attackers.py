"""The tenants of bench/neighbours.py, made and counted by the site's own code.

`python -m bench.attackers ACTION`:
`create NUMBER` creates workspaces on the free plan, each with a key, a login and a style of two versions
that serve nowhere; it prints them as JSON. `paid TENANT…` drains usage into the ledger and prints what these
workspaces paid; `unchecked TENANT…` prints how many of their uploads wait for a check.
"""

import json
import os
import sys
from collections.abc import Callable
from secrets import token_hex
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from allauth.account.models import EmailAddress  # noqa: E402
from django.db.models import Count, Sum  # noqa: E402

from adapters.catalog.selection import select_style  # noqa: E402
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Status, Style  # noqa: E402
from adapters.public import found_workspace, publish_library  # noqa: E402
from inference.tasks import drain  # noqa: E402
from keys.actions import create_key  # noqa: E402
from metering.models import UsageEvent  # noqa: E402
from tenants.access import access_of_person  # noqa: E402
from tenants.models import User  # noqa: E402


def create(number: str) -> list[dict[str, str]]:
    """Return new workspaces: id, API key, login, password, and the style whose versions can be compared."""
    return [_workspace() for _ in range(int(number))]


def paid(*tenants: str) -> dict[str, int]:
    """Return the usage rows of some workspaces: how many, their tokens and their cost."""
    drain()
    rows = UsageEvent.objects.filter(tenant__in=[UUID(tenant) for tenant in tenants])
    sums = rows.aggregate(
        requests=Count("pk"),
        prompt_tokens=Sum("prompt_tokens", default=0),
        completion_tokens=Sum("completion_tokens", default=0),
        nanousd=Sum("cost_nanousd", default=0),
    )
    return {name: int(value) for name, value in sums.items()}


def _workspace() -> dict[str, str]:
    name = f"attacker-{token_hex(4)}"
    password = token_hex(12)
    login = f"{name}@polyscribe.example"
    user = User.objects.create_user(login, password=password)
    EmailAddress.objects.create(user=user, email=login, verified=True, primary=True)
    tenant = found_workspace(user, name=name, slug=name)
    for style in Style.objects.filter(is_public=True):
        select_style(tenant, style)
    base = BaseModel.objects.earliest("pk")
    style = Style.objects.create(owner=tenant, slug="twice", name="Twice", base_model=base)
    publish_library(tenant.pk)
    versions = [
        AdapterVersion.objects.create(
            style=style, number=number, status=Status.SERVING, sha256="0" * 64, config_sha256="0" * 64, rank=8
        )
        for number in (1, 2)
    ]
    Style.objects.filter(pk=style.pk).update(live_version=versions[0])
    for version in versions:  # they have no files: no engine is to load them
        for engine in Engine.objects.all():
            Placement.objects.create(engine=engine, version=version, is_desired=False, note="No files.")
    owner = access_of_person(user, tenant, address=None)
    _, secret = create_key(owner, name="attack", scopes=["inference", "styles:write"])
    return {
        "id": str(tenant.pk),
        "api_key": secret,
        "login": login,
        "password": password,
        "style": f"/styles/{name}/twice/",
    }


def unchecked(*tenants: str) -> dict[str, int]:
    """Return how many uploads of some workspaces wait for their check."""
    waiting = AdapterVersion.objects.filter(status=Status.UPLOADED)
    return {"unchecked": waiting.filter(style__owner__in=[UUID(tenant) for tenant in tenants]).count()}


ACTIONS: dict[str, Callable[..., object]] = {"create": create, "paid": paid, "unchecked": unchecked}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](*sys.argv[2:])))
