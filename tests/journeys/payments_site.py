"""What the journey of payments asks of the site's own code: `python -m tests.journeys.payments_site people`.

It runs in a process of its own with the site's variables, and prints what was made as JSON.
"""

import json
import os
import sys
from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import (  # noqa: E402
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.utils import timezone  # noqa: E402

from billing.invoices import invoices  # noqa: E402
from billing.payments import auto_top_up  # noqa: E402
from core import months  # noqa: E402
from tenants.accounts.workspaces import create_tenant  # noqa: E402
from tenants.metering import credits  # noqa: E402
from tenants.models import PlanVersion, Subscription, Tenant  # noqa: E402


def make_people() -> dict[str, str]:
    """Make an owner with a workspace, and an operator; return their sessions."""
    name = f"payer-{uuid4().hex[:6]}"
    users = get_user_model().objects
    owner = users.create_user(f"{name}@polyscribe.example")
    tenant = create_tenant(owner, name=name)
    operator = users.create_superuser(f"operator-of-{name}@polyscribe.example")
    return {
        "workspace": name,
        "tenant": str(tenant.pk),
        "cookie": settings.SESSION_COOKIE_NAME,
        "owner": log_in(owner),
        "operator": log_in(operator),
    }


def make_invoice(tenant_id: str) -> str:
    """Let a workspace have been on Writer in an earlier month; return that invoice, overdue by now."""
    tenant = Tenant.objects.get(pk=tenant_id)
    finalized_at = timezone.now() - timedelta(days=20)
    period = months.before(months.period_of(finalized_at))
    start, end = months.bounds(period)
    Tenant.objects.filter(pk=tenant_id).update(created_at=start)
    writer = PlanVersion.objects.get(plan="writer", number=1)
    Subscription.objects.create(tenant=tenant, plan_version=writer, starts_at=start, ends_at=end)
    draft = invoices.draft_invoice(tenant, period)
    assert draft is not None
    return str(invoices.finalize_invoice(draft, finalized_at))


def top_up() -> int:
    """Top up whoever has too few credits, as beat does every minute."""
    return auto_top_up.top_up_due(timezone.now())


def credits_left(tenant_id: str) -> int:
    """Return the credits of a workspace in nano-USD."""
    return credits.credits_left(Tenant.objects.get(pk=tenant_id), months.current())


def log_in(user: django.contrib.auth.models.AbstractBaseUser) -> str:
    """Return the key of a new session of a user."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return str(session.session_key)


ACTIONS = {
    "people": make_people,
    "invoice": make_invoice,
    "top-up": top_up,
    "credits": credits_left,
}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](*sys.argv[2:])))
