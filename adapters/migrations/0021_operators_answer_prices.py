"""Let operators read and answer what owners ask for. Data only."""

from django.db import migrations

VERBS = {
    "Support": ("view", "change"),
    "Finance": ("view", "change"),
    "Engineer": ("view",),
    "Admin": ("view", "change"),
}


def let_operators_answer(apps, schema_editor):
    """Give the rights; content types and rights go by names, as they come later."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="adapters", model="pricechange"
    )
    for name, verbs in VERBS.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        for verb in verbs:
            permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
                content_type=content_type,
                codename=f"{verb}_pricechange",
                defaults={"name": f"Can {verb} pricechange"},
            )
            group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0020_price_changes"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(let_operators_answer, migrations.RunPython.noop)]
