"""Operators' rights to read failed jobs and to run them again. Data only; see 0018."""

from django.db import migrations

ROLES = {
    "Support": ("view",),
    "Engineer": ("view", "change"),
    "Admin": ("view", "change"),
}


def give_rights(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for name, verbs in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*[_find_permission(apps, verb) for verb in verbs])


def _find_permission(apps, verb):
    # Django creates permissions after the last migration; here they are needed before.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model="failedtask"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=f"{verb}_failedtask", defaults={"name": f"Can {verb} failed job"}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("adapters", "0021_suspended_styles")]
    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]
