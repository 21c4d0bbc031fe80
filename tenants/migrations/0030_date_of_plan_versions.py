from datetime import UTC, datetime

import django.utils.timezone
from django.db import migrations, models

ALWAYS = datetime(2025, 1, 1, tzinfo=UTC)  # as the first prices


def let_known_versions_count(apps, schema_editor):
    apps.get_model("tenants", "PlanVersion").objects.update(effective_from=ALWAYS)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0029_plan_changes")]
    operations = [
        migrations.AddField(
            model_name="planversion",
            name="effective_from",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="From when new subscriptions get it. Those on an earlier version stay there.",
            ),
        ),
        migrations.RunPython(let_known_versions_count, migrations.RunPython.noop),
    ]
