"""Workspaces with an API key: for trials, for benches, and for those that attack."""

from datetime import timedelta
from secrets import token_hex
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from accounts.workspaces import first_party_tenant
from adapters.catalog.selection import select_style
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Status, Style
from adapters.public import found_workspace, publish_library, set_public
from core import months
from keys.actions import create_key
from labs.stub_engine import MODELS
from metering.credits import grant_credit
from metering.models import Plan, PlanVersion
from tenants.access import access_of_person
from tenants.models import Scope, User

PLAN = "trial"
MEASURED = "bench"  # the slug of the measured tenant
WIDE = 10_000_000  # no minute's limit is meant to be met: the trials are about the month's

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


def create_tenants(*, tenants: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Return what was made: id, name, cap and API key of each tenant."""
    return [create_tenant_with_key(**wanted) for wanted in tenants]


def create_tenant_with_key(
    *, name: str, monthly_tokens: int, credit_nanousd: int | None = None
) -> dict[str, object]:
    """Return a new tenant with a hard cap of its own, every public style selected, and a key.

    With a credit it has no overage and no included tokens: the credit is all that it may spend.
    """
    user = User.objects.create_user(f"{name}-{token_hex(4)}@polyscribe.example")
    tenant = found_workspace(user, name=f"Trial {name}")
    # Since the month began: days on the free plan would bring a part of its included tokens.
    begins_at, _ = months.bounds(months.current())
    tenant.subscriptions.all().delete()
    version = create_plan_version(monthly_tokens, overage_allowed=credit_nanousd is None)
    subscribe_tenant(tenant, version, at=begins_at)
    if credit_nanousd is not None:
        grant_credit(
            tenant,
            credit_nanousd,
            source="promotion",
            source_id=f"trial {tenant.pk}",
            reason="Trial",
            actor="trial",
        )
    owner = access_of_person(user, tenant, address=None)
    for style in Style.objects.filter(is_public=True):
        select_style(owner, style)
    _, secret = create_key(owner, name="trial", scopes=[Scope.ADMIN.value])
    return {
        "id": str(tenant.pk),
        "name": name,
        "monthly_tokens": monthly_tokens,
        "api_key": secret,
        "credit_nanousd": credit_nanousd,
    }


def create_plan_version(monthly_tokens: int, *, overage_allowed: bool) -> PlanVersion:
    """Return a new version of the trials' plan."""
    plan, _ = Plan.objects.get_or_create(code=PLAN, defaults={"name": "Trial"})
    return PlanVersion.objects.create(
        plan=plan,
        number=plan.versions.count() + 1,
        monthly_tokens=monthly_tokens,
        requests_per_minute=WIDE,
        tokens_per_minute=WIDE,
        parallel_requests=WIDE,
        max_output_tokens=256,
        private_styles=100,
        monthly_trainings=100,
        overage_allowed=overage_allowed,
    )


def create_measured_tenant(*, stub_url: str) -> str:
    """Return a key with limits of its own; its tenant has every limit, and a public style for each pace."""
    user = User.objects.create_user("bench@example.org")
    tenant = found_workspace(user, name="Bench", slug=MEASURED)
    plan = Plan.objects.create(code=MEASURED, name="Bench")
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
    styles = [create_stub_style(name, engine) for name in MODELS]
    owner = access_of_person(user, tenant, address=None)
    for style in styles:
        select_style(owner, style)
    _, secret = create_key(
        owner,
        name="Bench",
        expires_at=timezone.now() + timedelta(days=1),
        styles=[style.pk for style in styles],
        monthly_tokens=LIMITS["monthly_tokens"],
    )
    return secret


def create_stub_style(name: str, engine: Engine) -> Style:
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


def create_attackers(*, count: int) -> list[dict[str, str]]:
    """Return new workspaces on the free plan: id, API key, login, password, and a style with two versions."""
    return [create_attacker() for _ in range(count)]


def create_attacker() -> dict[str, str]:
    """Return a workspace whose style has two versions that serve nowhere."""
    name = f"attacker-{token_hex(4)}"
    password = token_hex(12)
    login = f"{name}@polyscribe.example"
    user = User.objects.create_user(login, password=password)
    EmailAddress.objects.create(user=user, email=login, verified=True, primary=True)
    tenant = found_workspace(user, name=name, slug=name)
    owner = access_of_person(user, tenant, address=None)
    for style in Style.objects.filter(is_public=True):
        select_style(owner, style)
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
    _, secret = create_key(owner, name="attack", scopes=["inference", "styles:write"])
    return {
        "id": str(tenant.pk),
        "api_key": secret,
        "login": login,
        "password": password,
        "style": f"/styles/{name}/twice/",
    }
