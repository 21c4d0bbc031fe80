"""The roles of operators that see what is held for trainings. Data only."""

from django.db import migrations

ROLES = ("Support", "Finance", "Admin")


def add_rights(apps, schema_editor):
    # Django creates permissions after the last migration; here they are needed before.
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model="traininghold"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind,
        codename="view_traininghold",
        defaults={"name": "Can view training hold"},
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0001_operator_roles"),
        ("tenants", "0003_trainings"),
    ]
    operations = [migrations.RunPython(add_rights, migrations.RunPython.noop)]
