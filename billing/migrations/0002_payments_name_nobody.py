"""A payment has no text that says who began it: the audit log does, and it forgets deleted accounts.

The column stays while the version before writes it; a later migration drops it, by SQL.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AlterField(
                    "payment", "actor", models.CharField(max_length=80, blank=True, db_default="")
                )
            ],
            state_operations=[migrations.RemoveField("payment", "actor")],
        )
    ]
