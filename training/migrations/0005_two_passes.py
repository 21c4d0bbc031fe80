"""A training makes at most two passes, and `trained_tokens` are those of the state that was kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("training", "0004_evaluations")]

    operations = [
        migrations.AlterField(
            model_name="training",
            name="epochs",
            field=models.PositiveSmallIntegerField(default=2, help_text="Maximum passes over the examples."),
        ),
        migrations.AlterField(
            model_name="training",
            name="trained_tokens",
            field=models.BigIntegerField(default=0, help_text="Tokens of the steps that are charged."),
        ),
    ]
