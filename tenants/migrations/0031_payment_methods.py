"""What an automatic top-up charges stays on its row, so that each repetition asks for the same."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0030_date_of_plan_versions")]
    operations = [
        migrations.AddField(
            model_name="payment",
            name="customer_id",
            field=models.CharField(
                blank=True, default="", help_text="Who is charged without a person.", max_length=64
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="payment",
            name="payment_method_id",
            field=models.CharField(blank=True, default="", help_text="What is charged then.", max_length=64),
            preserve_default=False,
        ),
    ]
