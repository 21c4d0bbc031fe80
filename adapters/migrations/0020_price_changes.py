"""New prices of public styles: asked for by owners, agreed by operators."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0019_tags_language_favourites"),
    ]

    operations = [
        migrations.CreateModel(
            name="PriceChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "input_nanousd",
                    models.BigIntegerField(
                        blank=True, help_text="A token; empty: of every style.", null=True
                    ),
                ),
                ("cached_input_nanousd", models.BigIntegerField(blank=True, null=True)),
                ("output_nanousd", models.BigIntegerField(blank=True, null=True)),
                (
                    "author_percent",
                    models.PositiveSmallIntegerField(default=0, help_text="Of what others' usage costs."),
                ),
                ("first_day", models.DateField(help_text="From when its owner wants it, in UTC.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waits for approval"),
                            ("agreed", "agreed: it begins at its moment"),
                            ("begun", "in force"),
                            ("declined", "Declined"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("asked_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "reason",
                    models.CharField(blank=True, help_text="Why operators declined it.", max_length=300),
                ),
                (
                    "effective_from",
                    models.DateTimeField(blank=True, help_text="When it begins, once agreed.", null=True),
                ),
                (
                    "announced_at",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="When those who selected the style were told.",
                        null=True,
                    ),
                ),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="price_changes",
                        to="adapters.style",
                    ),
                ),
            ],
            options={
                "ordering": ["-asked_at"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("style"),
                        condition=models.Q(("state__in", ["waiting", "agreed"])),
                        name="one_open_price_change",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("cached_input_nanousd", None),
                                ("input_nanousd", None),
                                ("output_nanousd", None),
                            ),
                            models.Q(
                                ("cached_input_nanousd__gte", 0),
                                ("input_nanousd__gte", 0),
                                ("output_nanousd__gte", 0),
                            ),
                            _connector="OR",
                        ),
                        name="changed_prices_are_three",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("author_percent__lte", 100)), name="changed_share_in_percent"
                    ),
                ],
            },
        ),
    ]
