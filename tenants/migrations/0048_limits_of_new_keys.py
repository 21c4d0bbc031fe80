from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0047_failed_tasks")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="key_limits",
            field=models.JSONField(
                blank=True, editable=False, help_text="Limits that a new API key starts with.", null=True
            ),
        ),
    ]
