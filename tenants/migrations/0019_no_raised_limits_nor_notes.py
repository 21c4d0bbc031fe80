"""A workspace has the limits of its plan version: operators assign another one."""

from django.db import migrations


class Migration(migrations.Migration):
    unused_since = "1.0.0, the first release"
    dependencies = [("tenants", "0018_one_free_workspace_per_person")]

    operations = [
        migrations.DeleteModel(name="RaisedLimit"),
        migrations.DeleteModel(name="WorkspaceNote"),
    ]
