"""Budgets of plans, tenants and keys, limits of keys, and the weights of the plans that are there."""

from django.db import migrations, models

WEIGHTS = {"free": 1, "writer": 2, "studio": 4}


def weigh(apps, schema_editor):
    for plan, weight in WEIGHTS.items():
        apps.get_model("tenants", "PlanVersion").objects.filter(plan=plan).update(weight=weight)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_ledger_is_append_only")]
    operations = [
        migrations.AddField(
            model_name="apikey",
            name="monthly_nanousd",
            field=models.BigIntegerField(blank=True, help_text="This key's budget a month.", null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="parallel_requests",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="requests_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="apikey",
            name="tokens_per_minute",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="planversion",
            name="monthly_nanousd",
            field=models.BigIntegerField(
                blank=True, help_text="Hard cap of spend a month. None: no cap.", null=True
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="weight",
            field=models.PositiveSmallIntegerField(
                default=1, help_text="Its share of an engine that is full."
            ),
        ),
        migrations.AddField(
            model_name="tenant",
            name="monthly_nanousd",
            field=models.BigIntegerField(
                blank=True, help_text="Its own budget a month. None: only the plan's cap.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("weight__gte", 1)), name="weight_at_least_one"
            ),
        ),
        migrations.RunPython(weigh, migrations.RunPython.noop),
    ]
