"""Why a workspace is suspended, for its members to read. Schema only."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0037_service_samples")]
    operations = [
        migrations.AlterModelOptions("tenant", options={"verbose_name": "workspace"}),
        migrations.AddField(
            "tenant",
            "suspended_reason",
            models.CharField(
                max_length=300, blank=True, db_default="", editable=False, help_text="Its members read it."
            ),
        ),
    ]
