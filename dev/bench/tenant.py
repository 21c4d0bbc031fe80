"""The measured tenant, made and counted by the site's own code: `python -m bench.tenant ACTION`.

`create STUB_URL` creates a tenant with every limit set, a key with every limit of its own, and a public style
for each pace of the stub; it prints the key. `count` drains usage into the ledger and prints what is there.
`styles` prints what the engine calls each style of the demo, for bench/engine.py; `history MODEL` when the
newest version of a style reached each status, for bench/upload_time.py.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db.models import F  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.subscriptions import subscribe_tenant  # noqa: E402
from accounts.workspaces import first_party_tenant  # noqa: E402
from adapters.catalog.selection import select_style  # noqa: E402
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Status, Style  # noqa: E402
from adapters.public import found_workspace, set_public  # noqa: E402
from core import months, valkey  # noqa: E402
from inference.tasks import drain  # noqa: E402
from keys.actions import create_key  # noqa: E402
from labs.fake_vllm.prepared_bytes import MODELS  # noqa: E402
from metering.models import Plan, PlanVersion, UsageEvent  # noqa: E402  # noqa: E402
from tenants.access import access_of_person  # noqa: E402
from tenants.models import Tenant, User  # noqa: E402  # noqa: E402

SLUG = "bench"
# So large that nobody meets them, and checked for every request all the same.
LIMITS = {
    "monthly_tokens": 10**12,
    "included_tokens": 10**12,
    "requests_per_minute": 2 * 10**9,
    "tokens_per_minute": 2 * 10**9,
    "parallel_requests": 10_000,
    "max_output_tokens": 2048,
    "private_styles": 10,
}
SETTLED_WITHIN_S = 20.0


def create(stub_url: str) -> dict[str, str]:
    """Return the key's secret, after tenant, plan, engine and styles were made."""
    user = User.objects.create_user("bench@example.org")
    tenant = found_workspace(user, name="Bench", slug=SLUG)
    plan = Plan.objects.create(code=SLUG, name="Bench")
    subscribe_tenant(tenant, PlanVersion.objects.create(plan=plan, number=1, **LIMITS))
    base = BaseModel.objects.create(name=settings.BASE_MODEL, config={}, modules={})
    engine = Engine.objects.create(
        name="stub",
        url=stub_url,
        base_model=base,
        device=Engine.Device.CUDA,
        max_loras=8,
        max_cpu_loras=64,
        max_lora_rank=16,
        max_model_len=131_072,  # as models of today have it, so that prompts of 100 KB fit by their bound
        max_num_seqs=4096,
        is_healthy=True,
    )
    styles = [_style(name, engine) for name in MODELS]
    for style in styles:
        select_style(tenant, style)
    _, secret = create_key(
        access_of_person(user, tenant, address=None),
        name="Bench",
        expires_at=timezone.now() + timedelta(days=1),
        styles=[style.pk for style in styles],
        monthly_tokens=LIMITS["monthly_tokens"],
    )
    return {"key": secret}


def count() -> dict[str, float]:
    """Return how many events the ledger has after a drain, how long that took, and what is still held."""
    tenant = Tenant.objects.get(slug=SLUG)
    client = valkey.client()
    until = time.monotonic() + SETTLED_WITHIN_S
    while int(client.hget(valkey.bucket_key(tenant.pk), "open") or 0) and time.monotonic() < until:
        time.sleep(0.1)
    before = UsageEvent.objects.count()
    began = time.perf_counter()
    drain()
    elapsed_s = time.perf_counter() - began
    events = UsageEvent.objects.count()
    held = client.hget(valkey.account_key(tenant.pk, months.current()), "held")
    return {
        "events": events,
        "drained": events - before,
        "drain_s": elapsed_s,
        "held_tokens": int(held or 0),
        "open_requests": int(client.hget(valkey.bucket_key(tenant.pk), "open") or 0),
        "left_in_stream": client.xlen(valkey.usage_key()),
    }


def styles() -> dict[str, str]:
    """Return model name → its name in the engine, of the public styles and the base model."""
    names = {"base": Engine.objects.select_related("base_model").earliest("pk").base_model.name}
    loaded = Placement.objects.filter(version__style__live_version=F("version"), is_desired=True)
    loaded = loaded.exclude(loaded_at=None).filter(version__style__is_public=True)
    for placement in loaded.select_related("version__style__owner"):
        names[placement.version.style.model_name] = placement.loaded_as
    return names


def _style(name: str, engine: Engine) -> Style:
    """Return a public first-party style that one engine serves under the stub's name for the pace."""
    style = Style.objects.create(
        owner=first_party_tenant(), slug=f"style-{name}", name=name, base_model=engine.base_model
    )
    version = AdapterVersion.objects.create(
        style=style, number=1, status=Status.SERVING, sha256="0" * 64, config_sha256="0" * 64, rank=8
    )
    Placement.objects.create(engine=engine, version=version, loaded_at=timezone.now(), loaded_as=name)
    Style.objects.filter(pk=style.pk).update(live_version=version)
    style.refresh_from_db()
    set_public(style)
    return style


def history(model: str) -> dict[str, str]:
    """Return status → when the newest version of a style reached it, in ISO 8601."""
    owner, slug = model.split("/")
    version = AdapterVersion.objects.filter(style__owner__slug=owner, style__slug=slug).latest("number")
    return {step.status: step.at.isoformat() for step in version.history.all()}


ACTIONS: dict[str, Callable[..., object]] = {
    "create": create,
    "count": count,
    "styles": styles,
    "history": history,
}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](*sys.argv[2:])))
