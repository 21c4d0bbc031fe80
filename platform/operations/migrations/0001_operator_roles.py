"""The roles of operators, as groups with their rights. Data only.

A group of the same name that exists gets the rights beside its own.
"""

from django.db import migrations

# role → app, verbs, models
ROLES = {
    "Support": [
        ("account", "view", "emailaddress"),
        ("adapters", "view", "basemodel engine engineerasure erasure placement release"),
        ("adapters", "view change", "adapterversion pricechange share style"),
        ("billing", "view", "billingdetails creditnote payment"),
        (
            "tenants",
            "view",
            "auditentry authorearning creditburn creditgrant failedtask hostedstyle invoice invoiceline ledgerentry membership noticemail plan planversion price pricebook subscription usagedaily usageevent user webhookdelivery",
        ),
        ("tenants", "view change", "apikey tenant webhookendpoint"),
    ],
    "Finance": [
        ("adapters", "view change", "pricechange"),
        ("billing", "view", "billingdetails"),
        ("billing", "view add change", "creditnote payment"),
        (
            "tenants",
            "view",
            "apikey auditentry authorearning creditburn hostedstyle invoiceline membership noticemail usagedaily usageevent user webhookdelivery webhookendpoint",
        ),
        (
            "tenants",
            "view add change",
            "creditgrant invoice ledgerentry plan planversion price pricebook subscription",
        ),
        ("tenants", "view change", "tenant"),
    ],
    "Engineer": [
        ("adapters", "view", "basemodel engineerasure placement pricechange release share style"),
        ("adapters", "view add change", "engine"),
        ("adapters", "view change", "adapterversion erasure"),
        (
            "tenants",
            "view",
            "apikey auditentry noticemail tenant usagedaily usageevent webhookdelivery webhookendpoint",
        ),
        ("tenants", "view change", "failedtask"),
    ],
    "Admin": [
        ("account", "view", "emailaddress"),
        (
            "adapters",
            "view add change",
            "adapterversion basemodel engine engineerasure erasure placement release share style",
        ),
        ("adapters", "view change", "pricechange"),
        ("billing", "view add change", "billingdetails creditnote payment"),
        (
            "tenants",
            "view add change",
            "apikey auditentry authorearning creditburn creditgrant hostedstyle invoice invoiceline ledgerentry membership noticemail plan planversion price pricebook subscription usagedaily usageevent user webhookdelivery webhookendpoint",
        ),
        ("tenants", "view add change delete", "tenant"),
        ("tenants", "view change", "failedtask"),
    ],
}


def create_roles(apps, schema_editor):
    for name, rights in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        for app, verbs, models in rights:
            for model in models.split():
                group.permissions.add(*[_find_permission(apps, app, model, verb) for verb in verbs.split()])


def _find_permission(apps, app, model, verb):
    # Django creates permissions after the last migration; here they are needed before.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label=app, model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=f"{verb}_{model}",
        defaults={"name": f"Can {verb} {model}"},
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0001_initial"),
        ("adapters", "0001_initial"),
        ("billing", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
