import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("tenants", "0027_payments")]

    operations = [
        migrations.AddField(
            "price", "author",
            models.ForeignKey(
                blank=True, help_text="Who earns.", null=True, on_delete=django.db.models.deletion.PROTECT,
                related_name="+", to="tenants.tenant",
            ),
        ),
        migrations.AddField(
            "price", "author_percent",
            models.PositiveSmallIntegerField(
                default=0,
                help_text="Of what other workspaces' usage of a public style costs, for its author.",
            ),
        ),
        migrations.AddConstraint(
            "price",
            models.CheckConstraint(
                condition=Q(
                    ("author_percent", 0),
                    Q(("author__isnull", False), ("author_percent__lte", 100), ("style__isnull", False)),
                    _connector="OR",
                ),
                name="share_has_an_author",
            ),
        ),
        migrations.CreateModel(
            "AuthorEarning",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("style_name", models.CharField(max_length=100)),
                ("day", models.DateField()),
                ("requests", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                ("cost_nanousd", models.BigIntegerField(help_text="Of the usage.")),
                (
                    "share_nanousd",
                    models.BigIntegerField(help_text="Of each request's cost, rounded down."),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="earnings",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        help_text="Who used it.", on_delete=django.db.models.deletion.PROTECT,
                        related_name="+", to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-day", "-id"], name="earnings_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("author", "day", "style", "tenant"), name="one_earning_a_day"
                    )
                ],
            },
        ),
    ]  # fmt: skip
