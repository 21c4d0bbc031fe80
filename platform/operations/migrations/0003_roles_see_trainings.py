"""The roles of operators that see trainings, and those that stop one. Data only."""

from django.db import migrations

# role → verbs
ROLES = {
    "Support": ("view", "change"),
    "Finance": ("view",),
    "Engineer": ("view", "change"),
    "Admin": ("view", "change"),
}


def add_rights(apps, schema_editor):
    # Django creates permissions after the last migration; here they are needed before.
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="training", model="training"
    )
    for name, verbs in ROLES.items():
        for group in apps.get_model("auth", "Group").objects.filter(name=name):
            for verb in verbs:
                group.permissions.add(_find_permission(apps, kind, verb))


def _find_permission(apps, kind, verb):
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename=f"{verb}_training", defaults={"name": f"Can {verb} training"}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("operations", "0002_roles_see_training_holds"),
        ("training", "0001_initial"),
    ]
    operations = [migrations.RunPython(add_rights, migrations.RunPython.noop)]
