"""Writer and Studio as shipped included as many tokens as their cap, so credits bought nothing on them.

Their second versions have a higher cap. Who is on the first one stays there. A plan of which operators have
made a version of their own is left alone. Data only.
"""

from django.db import migrations
from django.db.models import F

FACTS_OF_A_ROW = ("id", "number", "effective_from", "created_at")
CHANGES = {
    "writer": {"monthly_tokens": 20_000_000},
    "studio": {"monthly_tokens": 100_000_000, "overage_allowed": True},
}


def add_versions(apps, schema_editor):
    versions = apps.get_model("tenants", "PlanVersion").objects
    for code, changes in CHANGES.items():
        own = versions.filter(plan=code)
        first = own.filter(number=1, included_tokens=F("monthly_tokens")).first()
        if first is None or own.count() > 1:
            continue
        columns = [field.attname for field in first._meta.concrete_fields]
        copied = {name: getattr(first, name) for name in columns if name not in FACTS_OF_A_ROW}
        versions.create(number=2, **copied | changes)


def take_away(apps, schema_editor):
    """Take the new versions away, if nobody is on them."""
    versions = apps.get_model("tenants", "PlanVersion").objects
    for code, changes in CHANGES.items():
        added = versions.filter(plan=code, number=2, **changes)
        added.filter(subscription=None).delete()


class Migration(migrations.Migration):
    dependencies = [("tenants", "0033_membership_steps_hidden_at")]
    operations = [migrations.RunPython(add_versions, take_away)]
