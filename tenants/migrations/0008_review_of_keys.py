"""A person whose password was reset, or whose address changed, reviews the API keys. Schema only."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0006_limits_of_sequences_and_storage")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="review_keys_since",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the password was reset or the address changed; empty once reviewed.",
                null=True,
            ),
        )
    ]
