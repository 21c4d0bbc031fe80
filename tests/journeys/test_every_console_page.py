"""Every page of the operators' console in a real Chromium: accessible in both themes and at both widths.

The lists and their forms come from the console itself, so a new one is walked from the day it is there.
"""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser

from adapters.models import AdapterVersion, BaseModel, Engine, EngineSample, Placement, Probe, Style
from tenants.accounts import raised_limits
from tenants.models import FailedTask, ServiceSample, User, WorkspaceNote
from tests.config.test_every_address import of_acme
from tests.journeys.test_every_page import WIDE, browser, busy_acme, walk

__all__ = ["browser", "busy_acme", "of_acme"]

NARROWEST = 390
SAMPLES = [{"prompt": "Describe rain.", "base": "Rain is water.", "style": "Write to boss@example.org now."}]


@pytest.fixture
def rich(of_acme, acme, operator) -> None:
    """A service with something on every page of ours."""
    now = timezone.now().replace(second=0, microsecond=0)
    end = now + timedelta(days=1)
    raised_limits.raise_limit(acme, "parallel_requests", 99, ends_at=end, actor=operator, reason="Launch")
    WorkspaceNote.objects.create(tenant=acme, text="They move to Studio in March.", author=operator)
    failure = {"error": "ValueError: no such bucket", "traceback": "Traceback\n  File", "times": 7}
    FailedTask.objects.create(task="adapters.tasks.advance", args=["x"], first_at=now, last_at=now, **failure)
    base = BaseModel.objects.get()
    engine = Engine.objects.create(
        name="gpu-7", url="http://127.0.0.1:1", base_model=base, device="cuda", note="No answer.",
        max_loras=8, max_cpu_loras=64, max_lora_rank=16, max_model_len=2048,
    )  # fmt: skip
    version = AdapterVersion.objects.get()
    AdapterVersion.objects.update(status="serving", rank=8)
    Style.objects.update(live_version=version, offered_at=now, author="Alice", licence="MIT")
    Placement.objects.create(engine=engine, version=version, note="Its machine has no memory left.")
    Probe.objects.create(version=version, engine="gpu-7", strength=0.8, noise=0.1, samples=SAMPLES)
    for minutes in (3, 2, 1, 0):
        at = now - timedelta(minutes=minutes)
        counts = {"wanted": 3, "loaded": minutes, "missing": 3 - minutes, "loads": 9 - minutes}
        EngineSample.objects.create(engine=engine, at=at, is_answering=minutes > 1, **counts)
        totals = {"requests": 90 - minutes, "prompt": 900 - minutes, "completion": 90, "b:2": 90 - minutes}
        ServiceSample.objects.create(at=at, totals=totals)


def list_pages(operator: User, acme) -> Iterator[str]:
    """Yield the address of every page of the console: lists, forms, and those that are neither."""
    yield from (reverse("admin:index"), reverse("admin:jobs"), reverse("admin:adapters_style_queue"))
    engine = Engine.objects.get()
    yield reverse("admin:adapters_engine_capacity", args=[engine.pk])
    yield reverse("admin:tenants_tenant_look", args=[acme.pk])
    yield reverse("admin:workspace_export", args=[acme.pk])
    request = RequestFactory().get("/console/")
    request.user = operator
    for model, page in site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        if page.has_add_permission(request):
            yield reverse(f"{name}_add")
        row = model._default_manager.first()
        if row is not None:
            yield reverse(f"{name}_change", args=[row.pk])


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("valkey", "busy_acme", "rich")
def test_every_page_of_the_console_is_accessible(
    operator, operator_client, acme, live_server, browser: Browser
):
    pages = list(dict.fromkeys(list_pages(operator, acme)))
    assert len(pages) > 60
    faults: list[str] = []
    operators = browser.new_context(base_url=live_server.url, viewport=WIDE)
    session = operator_client.cookies["sessionid"].value
    operators.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    walk(operators, pages, faults, "operator", narrowest=NARROWEST)
    assert faults == [], "\n".join(faults)
