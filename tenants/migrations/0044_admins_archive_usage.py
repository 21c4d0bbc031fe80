"""Let the role Admin have months of usage events archived. Data only."""

from django.db import migrations


def let_admins_archive(apps, schema_editor):
    """Give the right; content types and rights go by names, as they come later."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="tenants", model="usagearchive"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename="add_usagearchive",
        defaults={"name": "Can add usagearchive"},
    )
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Admin")
    group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0043_archived_shares"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(let_admins_archive, migrations.RunPython.noop)]
