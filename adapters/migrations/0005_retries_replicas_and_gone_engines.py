from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0004_base_reading"),
    ]

    operations = [
        migrations.AddField(
            model_name="engine",
            name="replicas",
            field=models.PositiveIntegerField(
                default=1,
                help_text="Of a cluster: how many share these limits, each with the base model to itself.",
            ),
        ),
        migrations.AddField(
            model_name="engine",
            name="is_gone",
            field=models.BooleanField(
                default=False,
                editable=False,
                help_text="Its machine is out of service for good; the row tells erasures what it held.",
            ),
        ),
        migrations.AddField(
            model_name="placement",
            name="retry_at",
            field=models.DateTimeField(
                blank=True,
                help_text="It could not be loaded for now; not tried again before.",
                null=True,
            ),
        ),
    ]
