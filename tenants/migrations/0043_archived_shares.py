"""What archived events earned authors is kept, and operators request archives."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0042_roles_and_invitations"),
    ]

    operations = [
        migrations.AddField(
            model_name="usagearchive",
            name="has_shares",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Whether it keeps what its events earned authors.",
            ),
        ),
        migrations.AddField(
            model_name="usagearchive",
            name="problem",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Why the worker could not make it. It tries again once an operator says so.",
                max_length=300,
            ),
        ),
        migrations.AddField(
            model_name="usagearchive",
            name="reason",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Why an operator wants it. Those with a reason are made by a worker.",
                max_length=300,
            ),
        ),
        migrations.CreateModel(
            name="ArchivedShare",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("share_nanousd", models.BigIntegerField(help_text="Of each request's cost, rounded down.")),
                (
                    "archive",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shares",
                        to="tenants.usagearchive",
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        help_text="Who earned.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        help_text="Who used it.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("archive", "author", "tenant", "style"), name="archived_share_once"
                    )
                ],
            },
        ),
    ]
