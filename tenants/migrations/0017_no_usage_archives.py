"""Old usage events are deleted with their month's partition, and no file is made of them."""

from django.db import migrations


class Migration(migrations.Migration):
    unused_since = "1.0.0, the first release"
    dependencies = [("tenants", "0016_lines_of_their_own_month")]

    operations = [
        migrations.DeleteModel(name="ArchivedShare"),
        migrations.DeleteModel(name="ArchivedUsage"),
        migrations.DeleteModel(name="UsageArchive"),
    ]
