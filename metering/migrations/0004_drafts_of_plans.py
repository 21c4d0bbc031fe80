from django.db import migrations

DRAFTS = {"free": 50, "writer": 500, "studio": 5_000, "enterprise": 50_000}


def set_limits(apps, schema_editor):
    for code, most in DRAFTS.items():
        apps.get_model("metering", "PlanVersion").objects.filter(plan=code).update(drafts=most)


class Migration(migrations.Migration):
    dependencies = [("metering", "0003_drafts")]

    operations = [migrations.RunPython(set_limits, migrations.RunPython.noop)]
