"""Operators' rights to read failed jobs and run them again, and Admin's to erase workspaces. See 0018."""

from django.db import migrations

FAILED = "failedtask"
ROLES = {
    "Support": [("view", FAILED)],
    "Engineer": [("view", FAILED), ("change", FAILED)],
    "Admin": [("view", FAILED), ("change", FAILED), ("delete", "tenant")],
}


def give_rights(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for name, rights in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*[_find_permission(apps, *right) for right in rights])


def _find_permission(apps, verb, kind):
    # Django creates permissions after the last migration; here they are needed before.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model=kind
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=f"{verb}_{kind}", defaults={"name": f"Can {verb} {kind}"}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("adapters", "0023_suspended_styles")]
    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]
