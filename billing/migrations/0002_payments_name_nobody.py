"""A payment has no text that says who began it: the audit log does, and it forgets deleted accounts."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    unused_since = "1.0.0"  # the first release never had it

    operations = [migrations.RemoveField("payment", "actor")]
