"""Where a new person came from: digests of the email domain and of the network."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_responses_kept_since")]

    operations = [
        migrations.AddField(
            model_name="founding",
            name="domain",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
        migrations.AddField(
            model_name="founding",
            name="network",
            field=models.CharField(blank=True, db_default="", default="", max_length=64),
        ),
    ]
