"""Deliveries know tests, which pass what waits, without a look at their events."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        migrations.AddField(
            "webhookdelivery",
            "is_test",
            models.BooleanField(default=False, db_default=False, help_text="It passes what waits."),
        ),
    ]
