from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0011_stored_responses"),
    ]

    operations = [
        migrations.AddField(
            model_name="usageevent",
            name="constrained",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="Fields of the request that prescribed the text, such as echo logit_bias.",
                max_length=60,
            ),
        ),
    ]
