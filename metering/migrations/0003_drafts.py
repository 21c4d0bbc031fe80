from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metering", "0002_defaults_of_usage_events")]

    operations = [
        migrations.AddField(
            model_name="planversion",
            name="drafts",
            field=models.PositiveIntegerField(
                default=200, db_default=200, help_text="Drafts in a workspace."
            ),
        )
    ]
