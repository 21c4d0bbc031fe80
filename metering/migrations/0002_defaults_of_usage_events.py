from django.db import migrations

TABLE = "metering_usageevent"
COLUMNS = ("watermark", "text_sha256", "constrained")


class Migration(migrations.Migration):
    # partitions.sql copied the table without the defaults that its model has in the database.

    dependencies = [("metering", "0001_initial")]

    operations = [
        migrations.RunSQL(
            [f"ALTER TABLE {TABLE} ALTER COLUMN {column} SET DEFAULT ''" for column in COLUMNS],
            migrations.RunSQL.noop,
        )
    ]
