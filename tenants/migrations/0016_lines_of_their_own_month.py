"""An invoice's lines are of its own month: usage that comes late counts in the month in which it arrives."""

from django.db import migrations


class Migration(migrations.Migration):
    unused_since = "1.0.0, the first release"
    dependencies = [("tenants", "0015_unpaid_cap")]

    operations = [
        migrations.RemoveField(model_name="invoiceline", name="period"),
    ]
