"""How much a workspace may leave unpaid until its first invoice is paid, where an operator says so."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0014_founding_origin")]

    operations = [
        migrations.AddField(
            model_name="tenant",
            name="unpaid_cap_nanousd",
            field=models.BigIntegerField(
                blank=True,
                help_text="How much usage beyond the included tokens may be unpaid until it pays its first invoice. "
                "Also lets it choose a plan that invoices usage before any payment. Empty: MAX_UNPAID_USD.",
                null=True,
                validators=[django.core.validators.MinValueValidator(0)],
            ),
        ),
    ]
