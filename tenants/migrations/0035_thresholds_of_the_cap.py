from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0034_credits_count_on_shipped_plans")]
    operations = [
        migrations.AlterField(
            model_name="reachedthreshold",
            name="measure",
            field=models.CharField(
                choices=[("tokens", "Tokens"), ("cap", "Cap"), ("budget", "Budget"), ("credits", "Credits")],
                max_length=10,
            ),
        ),
    ]
