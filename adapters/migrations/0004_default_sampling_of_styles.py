from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0003_evaluations"),
    ]

    operations = [
        migrations.AddField(
            model_name="style",
            name="temperature",
            field=models.FloatField(
                blank=True,
                help_text="Of requests that send none. Empty: the installation's default.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="style",
            name="top_p",
            field=models.FloatField(
                blank=True,
                help_text="Of requests that send none. Empty: the installation's default.",
                null=True,
            ),
        ),
    ]
