"""What several tests of the whole site use."""

from html.parser import HTMLParser

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.workspaces import playground_key
from adapters.models import BaseModel, Engine
from core.http import new_request_id
from metering.ledger import Event, record_events
from tenants.models import Tenant, User


class Page(HTMLParser):
    """What a page links to, and what can be linked to on it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs) -> None:
        known = dict(attrs)
        if tag == "a":
            self.links.append(known["href"])
        if "id" in known:
            self.ids.append(known["id"])


def signed_in(user: User) -> Client:
    """Return a browser with a session of its own."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def clerk(*roles: str) -> Client:
    """Return the browser of one operator, who has some roles from now on."""
    user = User.objects.filter(email="clerk@example.org").first()
    user = user or User.objects.create_user("clerk@example.org", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return signed_in(user)


def used(tenant: Tenant, style: str, *, times: int = 1, key=None) -> None:
    """Record some requests of now."""
    events = []
    for _ in range(times):
        events.append(
            Event(
                request_id=new_request_id(),
                tenant_id=tenant.pk,
                key_id=(key or playground_key(tenant)).pk,
                style=None,
                style_name=style,
                version_number=1,
                adapter_sha256="",
                base_model="base",
                engine="local",
                period=f"{timezone.now():%Y-%m}",
                admitted_at=timezone.now(),
                prompt_tokens=10,
                cached_tokens=0,
                completion_tokens=20,
                finish_reason="stop",
                outcome="complete",
                input_nanousd=1,
                cached_input_nanousd=1,
                output_nanousd=1,
                cost_nanousd=30,
            )
        )
    record_events(events)


def new_engine(name: str = "engine-1", **facts: object) -> Engine:
    """Return an engine of a base model of theirs, where nobody listens."""
    base, _ = BaseModel.objects.get_or_create(name="base", config={}, modules={})
    usual = {"url": "http://127.0.0.1:1", "base_model": base, "device": "cpu", "max_model_len": 2048}
    slots = {"max_loras": 2, "max_cpu_loras": 4, "max_lora_rank": 8}
    return Engine.objects.create(name=name, **{**usual, **slots, **facts})
