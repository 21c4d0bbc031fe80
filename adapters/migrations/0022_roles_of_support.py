"""Operators' rights to raise limits of workspaces and to write notes about them. Data only; see 0018."""

from django.db import migrations

KINDS = ("raisedlimit", "workspacenote")
ROLES = {
    "Support": ("view", "add", "change"),
    "Finance": ("view",),
    "Engineer": ("view",),
    "Admin": ("view", "add", "change"),
}


def give_rights(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for name, verbs in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        for kind in KINDS:
            group.permissions.add(*[_find_permission(apps, kind, verb) for verb in verbs])


def _find_permission(apps, kind, verb):
    # Django creates permissions after the last migration; here they are needed before.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model=kind
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=f"{verb}_{kind}", defaults={"name": f"Can {verb} {kind}"}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("adapters", "0021_operators_answer_prices")]
    operations = [migrations.RunPython(give_rights, migrations.RunPython.noop)]
