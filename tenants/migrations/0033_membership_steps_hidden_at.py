from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0032_plans_by_arrangement")]
    operations = [
        migrations.AddField(
            model_name="membership",
            name="steps_hidden_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When the person took the next steps off Home.",
                null=True,
            ),
        ),
    ]
