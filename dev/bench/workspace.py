"""The workspace of bench/pages.py: 10,000 styles, 200 keys, 50 members, `EVENTS` requests of two months."""

import os
import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Value  # noqa: E402
from django.db.models.functions import Concat  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.subscriptions import subscribe_tenant  # noqa: E402
from accounts.workspaces import create_tenant  # noqa: E402
from adapters.models import (  # noqa: E402
    AdapterVersion,
    BaseModel,
    Probe,
    Selection,
    Status,
    Style,
)
from bench import large  # noqa: E402
from metering.models import RefusedRequest, UsageDaily, UsageEvent  # noqa: E402
from metering.plans import newest_plan_version  # noqa: E402
from tenants.models import ApiKey, Membership, Tenant, User  # noqa: E402

WORKSPACE = "large-0"
TENANTS = 4  # with as many requests each
EVENTS = int(os.environ.get("EVENTS", "1000000"))
STYLES = 10_000
OTHERS = 1_000  # public ones of another workspace, of which a hundred are selected
KEYS = 200
MEMBERS = 50
REFUSED = 5000
OWNER = "bench-pages@example.org"
WORDS = ("brand", "voice", "letters", "news", "support", "legal", "poetry", "noir", "plain", "formal")


def seed() -> tuple[Tenant, User]:
    """Return the workspace and its owner; made once a database."""
    owner = User.objects.filter(email=OWNER).first()
    if owner:
        return Tenant.objects.get(slug=WORKSPACE), owner
    large.create_tables(TENANTS, EVENTS, say=print)
    tenant = Tenant.objects.get(slug=WORKSPACE)
    subscribe_tenant(tenant, newest_plan_version("studio"))
    base_model, _ = BaseModel.objects.get_or_create(
        name=settings.BASE_MODEL, defaults={"config": {}, "modules": {}}
    )
    make_styles(tenant, base_model, STYLES)
    UsageDaily.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    UsageEvent.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    others = create_tenant(User.objects.create_user("bench-others@example.org"), name="Bench others")
    public = make_styles(others, base_model, OTHERS)
    Style.objects.filter(owner=others).update(is_public=True)
    for style in public:
        style.approved_version, style.approved_name = style.live_version, style.name
    Style.objects.bulk_update(public, ["approved_version", "approved_name"], 500)
    Selection.objects.bulk_create([Selection(style=style, tenant=tenant) for style in public[:100]])
    _make_keys(tenant)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    people = [User.objects.create_user(f"bench-{number}@example.org") for number in range(MEMBERS - 1)]
    Membership.objects.bulk_create([Membership(user=person, tenant=tenant) for person in people])
    owner = User.objects.create_user(OWNER)  # the last row: without it the seed was broken off
    Membership.objects.create(user=owner, tenant=tenant, role=Membership.Role.OWNER)
    return tenant, owner


def _prefixed(column: str) -> Any:
    return Concat(Value(f"{WORKSPACE}/"), column)


def _make_keys(tenant: Tenant) -> None:
    now = timezone.now()
    keys = [ApiKey(tenant=tenant, name=f"program {n}", digest=uuid4().hex, last4="abcd") for n in range(KEYS)]
    ApiKey.objects.bulk_create(keys)
    # No more than 200 are made in a day, and the bench makes one of its own.
    ApiKey.objects.filter(tenant=tenant).update(created_at=now - timedelta(days=2))
    rows = []
    for number in range(REFUSED):
        at = now - timedelta(seconds=20 * number)
        rows.append(
            RefusedRequest(
                request_id=f"req_{uuid4().hex}",
                tenant=tenant,
                key=keys[number % KEYS],
                at=at,
                model_name=f"{WORKSPACE}/style-{number % 50}",
                status=429,
                code=f"code_{number % 8}",
                reason="Too fast.",
            )
        )
    RefusedRequest.objects.bulk_create(rows, 1000)


def make_styles(tenant: Tenant, base_model: BaseModel, count: int) -> list[Style]:
    """Return styles with two versions each, measured ones, of which the first is live."""
    shuffled = random.Random(1)
    styles = []
    for number in range(count):
        name = f"{shuffled.choice(WORDS).title()} {shuffled.choice(WORDS)} {number}"
        about = "How we write to readers who have little time. " * 4
        styles.append(
            Style(
                owner=tenant,
                slug=f"style-{number}",
                name=name,
                description=about,
                sample_prompt="Announce a sale.",
                sample="Good news travels fast, and so do our prices. " * 5,
                base_model=base_model,
            )
        )
    Style.objects.bulk_create(styles, 1000)
    now = timezone.now()
    for age, style in enumerate(styles):
        style.created_at = now - timedelta(minutes=age)
    versions = []
    for style in styles:
        for number in (1, 2):
            version = AdapterVersion(style=style, number=number, status=Status.SERVING, sha256="a" * 64)
            versions.append(version)
    AdapterVersion.objects.bulk_create(versions, 1000)
    measures = {"style": {"words_a_sentence": 9.0, "reading_ease": 70.0, "phrases": ["good news"] * 5}}
    samples = [{"prompt": "Why?", "base": "So. " * 100, "style": "Thus. " * 100}] * 4
    probes = [
        Probe(version=version, strength=0.7, noise=0.01, measures=measures, samples=samples)
        for version in versions
    ]
    Probe.objects.bulk_create(probes, 1000)
    for place, style in enumerate(styles):
        style.live_version = versions[2 * place]
        if place % 10 == 0:
            style.canary_version = versions[2 * place + 1]
            style.canary_percent = 10
            style.canary_since = now
    fields = ["created_at", "live_version", "canary_version", "canary_percent", "canary_since"]
    Style.objects.bulk_update(styles, fields, 500)
    return styles
