"""Overage is allowed where a plan's cap is above its included tokens: until now the flag had no effect.

So an upgrade stops nobody. Data only.
"""

from django.db import migrations
from django.db.models import F


def allow_overage(apps, schema_editor):
    versions = apps.get_model("tenants", "PlanVersion").objects
    versions.filter(included_tokens__lt=F("monthly_tokens")).update(overage_allowed=True)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0022_billing_details"),
    ]

    operations = [
        migrations.RunPython(allow_overage, migrations.RunPython.noop),
    ]
