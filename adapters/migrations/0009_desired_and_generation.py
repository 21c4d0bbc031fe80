from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("adapters", "0008_engine_id")]

    operations = [
        migrations.RenameField("placement", "is_wanted", "is_desired"),
        migrations.RenameField("placement", "asked_at", "requested_at"),
        migrations.RenameField("placement", "left_at", "undesired_since"),
        migrations.RenameField("style", "route_changes", "generation"),
        migrations.RenameField("style", "routes_published", "observed_generation"),
    ]
