"""Indexes of the console's lists: each names all columns of its list's order."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("tenants", "0017_notices"),
    ]

    operations = [
        AddIndexConcurrently(
            "usageevent",
            models.Index(fields=["tenant", "-admitted_at", "-id"], name="usage_newest_of_tenant"),
        ),
        RemoveIndexConcurrently("usageevent", "usage_latest"),
        AddIndexConcurrently(
            "ledgerentry",
            models.Index(fields=["tenant", "-period", "-id"], name="ledger_newest_of_tenant"),
        ),
        RemoveIndexConcurrently("ledgerentry", "ledger_period"),
        AddIndexConcurrently(
            "ledgerentry",
            models.Index(fields=["-period", "-id"], name="ledger_newest"),
        ),
        RemoveIndexConcurrently("ledgerentry", "ledger_newest_of_period"),
        # Its new form has the old one's name.
        RemoveIndexConcurrently("ledgerentry", "ledger_newest_of_kind"),
        AddIndexConcurrently(
            "ledgerentry",
            models.Index(fields=["kind", "-period", "-id"], name="ledger_newest_of_kind"),
        ),
        AddIndexConcurrently(
            "usagedaily",
            models.Index(fields=["style_name", "-day", "-id"], name="daily_newest_of_style"),
        ),
    ]
