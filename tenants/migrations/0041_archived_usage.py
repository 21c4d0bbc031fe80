"""Months whose usage events were archived, and the sums that they had."""

import django.db.models.deletion
from django.db import migrations, models

READERS = ("Support", "Finance", "Admin")


def let_operators_read(apps, schema_editor):
    """Let the roles of the console see archives; content types and rights go by names, as they come later."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model="usagearchive"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename="view_usagearchive",
        defaults={"name": "Can view usagearchive"},
    )
    for name in READERS:
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0040_usage_events_by_month"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageArchive",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(help_text="Month in UTC, 2026-08.", max_length=7, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("exporting", "Exporting"),
                            ("exported", "exported and verified"),
                            ("detached", "detached: its table is to be dropped"),
                            ("archived", "Archived"),
                        ],
                        default="exporting",
                        max_length=12,
                    ),
                ),
                (
                    "object_key",
                    models.CharField(help_text="Of the gzipped CSV in the bucket.", max_length=120),
                ),
                ("sha256", models.CharField(blank=True, max_length=64)),
                ("events", models.BigIntegerField(default=0, help_text="With those that used nothing.")),
                ("tokens", models.BigIntegerField(default=0)),
                ("cost_nanousd", models.BigIntegerField(default=0)),
                ("begun_at", models.DateTimeField(auto_now_add=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["-period"],
            },
        ),
        migrations.CreateModel(
            name="ArchivedUsage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style_name", models.CharField(max_length=100)),
                ("meter", models.CharField(max_length=12)),
                ("unit_nanousd", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="archived_usage",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "archive",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="usage",
                        to="tenants.usagearchive",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("archive", "tenant", "style_name", "meter", "unit_nanousd"),
                        name="archived_usage_once",
                    )
                ],
            },
        ),
        migrations.RunPython(let_operators_read, migrations.RunPython.noop),
    ]
