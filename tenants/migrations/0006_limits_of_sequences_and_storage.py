"""What a plan allows of sequences a request, of stored versions and bytes, and of open uploads."""

from django.db import migrations, models

GIB = 1024**3
LIMITS = {
    "free": {"stored_versions": 30, "stored_bytes": 2 * GIB, "open_uploads": 3},
    "writer": {"stored_versions": 300, "stored_bytes": 20 * GIB, "open_uploads": 8},
    "studio": {"stored_versions": 2000, "stored_bytes": 200 * GIB, "open_uploads": 20},
}


def set_limits(apps, schema_editor):
    for plan, limits in LIMITS.items():
        apps.get_model("tenants", "PlanVersion").objects.filter(plan=plan).update(**limits)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0005_usage_of_a_style")]
    operations = [
        migrations.AddField(
            model_name="planversion",
            name="sequences_per_request",
            field=models.PositiveSmallIntegerField(
                default=16, help_text="Prompts times `n` of one request: each is a sequence of the engine's."
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="stored_versions",
            field=models.PositiveIntegerField(
                default=30, help_text="Versions whose files are kept, rejected ones not counted."
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="stored_bytes",
            field=models.BigIntegerField(
                default=2 * GIB, help_text="Bytes of adapters that are kept or announced by open uploads."
            ),
        ),
        migrations.AddField(
            model_name="planversion",
            name="open_uploads",
            field=models.PositiveIntegerField(default=3, help_text="Uploads begun and not finished."),
        ),
        migrations.AddConstraint(
            model_name="planversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("sequences_per_request__gte", 1)), name="one_sequence_at_least"
            ),
        ),
        migrations.RunPython(set_limits, migrations.RunPython.noop),
    ]
