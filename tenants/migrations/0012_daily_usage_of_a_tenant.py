"""An index of the console's list of one workspace's daily usage."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # indexes of large tables are made beside what goes on

    dependencies = [
        ("tenants", "0011_usage_by_minute"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="usagedaily",
            index=models.Index(fields=["tenant", "-day", "-id"], name="daily_newest_of_tenant"),
        ),
    ]
