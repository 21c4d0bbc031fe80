from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0012_constrained_answers"),
    ]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="responses_kept_since",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="What was stored before this is never readable again, however the days are changed.",
                null=True,
            ),
        ),
    ]
