"""A person owns one workspace on the free plan, so nothing is added up for several of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    unused_since = "1.0.0, the first release"
    dependencies = [("tenants", "0017_no_usage_archives")]

    operations = [
        migrations.DeleteModel(name="FreeUsage"),
        migrations.AddField(
            model_name="formermember",
            name="was_owner",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="user",
            name="person",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="Who it is to the free plan (metering/persons.py), once the address has changed.",
                max_length=64,
            ),
        ),
    ]
