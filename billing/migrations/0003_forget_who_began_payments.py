"""Addresses of people go from payments that there are."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_payments_name_nobody")]

    operations = [
        migrations.RunSQL(
            "UPDATE billing_payment SET actor = '' WHERE actor LIKE '%@%'", reverse_sql=migrations.RunSQL.noop
        )
    ]
