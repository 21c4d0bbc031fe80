import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

LINE_KINDS = [
    ("fee", "Fee"), ("hosting", "Hosting"), ("usage", "Usage"), ("included", "Included"),
    ("credit", "Credit"), ("adjustment", "Adjustment"), ("rounding", "Rounding"),
]  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("tenants", "0025_own_prices")]

    operations = [
        migrations.AddField(
            "pricebook", "style_month_nanousd",
            models.BigIntegerField(
                default=0,
                help_text="Of hosting a private style for a month; it counts from the next month's start.",
            ),
        ),
        migrations.AddConstraint(
            "pricebook",
            models.CheckConstraint(
                condition=Q(("style_month_nanousd__gte", 0)), name="hosting_not_negative"
            ),
        ),
        migrations.AlterField(
            "invoiceline", "kind", models.CharField(choices=LINE_KINDS, max_length=12)
        ),
        migrations.CreateModel(
            "HostedStyle",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("style_name", models.CharField(max_length=100)),
                ("period", models.CharField(help_text="Month in UTC, 2026-11.", max_length=7)),
                (
                    "noted_at",
                    models.DateTimeField(
                        auto_now_add=True, help_text="When it was first seen in that month."
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="hosted_styles",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "-period", "-id"], name="hosted_newest_of_tenant"),
                    models.Index(fields=["-period", "-id"], name="hosted_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("style", "period"), name="hosted_once_a_month")
                ],
            },
        ),
    ]  # fmt: skip
