from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("adapters", "0016_drop_loads_before")]
    operations = [
        migrations.AddField(
            model_name="style",
            name="asked_input_nanousd",
            field=models.BigIntegerField(blank=True, help_text="A token, in nano-USD.", null=True),
        ),
        migrations.AddField(
            model_name="style",
            name="asked_cached_input_nanousd",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="style",
            name="asked_output_nanousd",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="style",
            name="asked_author_percent",
            field=models.PositiveSmallIntegerField(default=0, help_text="Of what others' usage costs."),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.CheckConstraint(
                condition=Q(
                    asked_input_nanousd=None, asked_cached_input_nanousd=None, asked_output_nanousd=None
                )
                | Q(
                    asked_input_nanousd__gte=0,
                    asked_cached_input_nanousd__gte=0,
                    asked_output_nanousd__gte=0,
                ),
                name="asked_prices_are_three",
            ),
        ),
        migrations.AddConstraint(
            model_name="style",
            constraint=models.CheckConstraint(
                condition=Q(asked_author_percent__lte=100), name="asked_share_in_percent"
            ),
        ),
    ]
