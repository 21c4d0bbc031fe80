"""Trainings of styles: their price, their limits, and what they hold. Schema only."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0002_first_plans"),
    ]

    operations = [
        migrations.AddField(
            model_name="planversion",
            name="monthly_trainings",
            field=models.PositiveIntegerField(
                db_default=5, default=5, help_text="Trainings of styles that may be started in a month."
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="parallel_trainings",
            field=models.PositiveSmallIntegerField(
                db_default=1, default=1, help_text="Trainings of styles that may run or wait at once."
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="training_words",
            field=models.PositiveIntegerField(
                db_default=200000, default=200000, help_text="Words of text that one training may learn from."
            ),
        ),
        migrations.AddField(
            model_name="pricebook",
            name="trained_token_nanousd",
            field=models.PositiveBigIntegerField(
                db_default=0,
                default=0,
                help_text="Price of training a style. A training is charged at the price in effect when it starts.",
            ),
        ),
        migrations.AlterField(
            model_name="invoiceline",
            name="kind",
            field=models.CharField(
                choices=[
                    ("fee", "Fee"),
                    ("hosting", "Hosting"),
                    ("usage", "Usage"),
                    ("training", "Training"),
                    ("included", "Included"),
                    ("credit", "Credit"),
                    ("adjustment", "Adjustment"),
                    ("rounding", "Rounding"),
                    ("kept", "kept as credits"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="ledgerentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("usage", "Usage"),
                    ("training", "Training"),
                    ("fee", "Fee"),
                    ("hosting", "Hosting"),
                    ("grant", "Grant"),
                    ("payment", "Payment"),
                    ("adjustment", "Adjustment"),
                    ("writeoff", "Writeoff"),
                    ("rounding", "Rounding"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="ledgerentry",
            name="source_id",
            field=models.CharField(
                help_text="For usage: the request id. For a training: its id.", max_length=80
            ),
        ),
        migrations.AlterField(
            model_name="raisedlimit",
            name="limit",
            field=models.CharField(
                choices=[
                    ("requests_per_minute", "requests per minute"),
                    ("tokens_per_minute", "tokens per minute"),
                    ("parallel_requests", "concurrent requests"),
                    ("max_output_tokens", "tokens per answer"),
                    ("sequences_per_request", "sequences per request"),
                    ("private_styles", "private styles"),
                    ("stored_versions", "stored versions"),
                    ("stored_bytes", "stored bytes"),
                    ("open_uploads", "open uploads"),
                    ("parallel_trainings", "concurrent trainings"),
                    ("monthly_trainings", "trainings per month"),
                    ("training_words", "words per training"),
                ],
                max_length=30,
            ),
        ),
        migrations.CreateModel(
            name="TrainingHold",
            fields=[
                ("training", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "token_nanousd",
                    models.BigIntegerField(
                        help_text="In effect when it was held.", verbose_name="price per token"
                    ),
                ),
                ("most_tokens", models.BigIntegerField(help_text="It is never charged for more than these.")),
                ("nanousd", models.BigIntegerField(verbose_name="amount held")),
                (
                    "period",
                    models.CharField(
                        help_text="Month (UTC) in which it was held, such as 2026-11.", max_length=7
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "confirmed_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="When it was certain that nothing in flight exceeds what is left.",
                        null=True,
                    ),
                ),
                (
                    "settled_at",
                    models.DateTimeField(blank=True, help_text="When the training was charged.", null=True),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="training_holds",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["-created_at", "-training"], name="training_holds_newest"),
                    models.Index(
                        condition=models.Q(("settled_at", None)),
                        fields=["tenant"],
                        name="open_training_holds_of_tenant",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("most_tokens__gte", 0), ("token_nanousd__gte", 0)),
                        name="held_tokens_not_negative",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "nanousd",
                                django.db.models.expressions.CombinedExpression(
                                    models.F("most_tokens"), "*", models.F("token_nanousd")
                                ),
                            )
                        ),
                        name="held_at_the_price",
                    ),
                ],
            },
        ),
    ]
