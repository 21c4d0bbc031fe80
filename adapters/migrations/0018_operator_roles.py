"""The roles of operators, as groups with their rights. Data only.

It stands here because this floor knows its own models and those of the floor below. A group of the same name
that exists gets the rights beside its own. Content types and permissions go by names, so no table must
exist: a dependency on a late migration of the other floor would let that one run before older ones here.
"""

from django.db import migrations

TENANTS = [
    "apikey", "auditentry", "authorearning", "billingdetails", "creditburn", "creditgrant", "creditnote",
    "hostedstyle", "invoice", "invoiceline", "ledgerentry", "membership", "noticemail", "payment",
    "plan", "planversion", "price", "pricebook", "subscription", "tenant", "usagedaily", "usageevent", "user",
    "webhookdelivery", "webhookendpoint",
]  # fmt: skip
ADAPTERS = [
    "adapterversion", "basemodel", "engine", "engineerasure", "erasure", "placement", "release", "share",
    "style",
]  # fmt: skip
MONEY = [
    "creditgrant", "creditnote", "invoice", "ledgerentry", "payment", "plan", "planversion", "price",
    "pricebook", "subscription",
]  # fmt: skip
TRAFFIC = [
    "apikey", "auditentry", "noticemail", "tenant", "usagedaily", "usageevent", "webhookdelivery",
    "webhookendpoint",
]  # fmt: skip


def _rights(verbs, app, models):
    return [(app, model, verb) for model in models for verb in verbs]


ROLES = {
    "Support": [
        *_rights(["view"], "tenants", TENANTS),
        *_rights(["view"], "adapters", ADAPTERS),
        *_rights(["view"], "account", ["emailaddress"]),
        *_rights(["change"], "tenants", ["apikey", "tenant", "webhookendpoint"]),
        *_rights(["change"], "adapters", ["adapterversion", "share", "style"]),
    ],
    "Finance": [
        *_rights(["view"], "tenants", TENANTS),
        *_rights(["add", "change"], "tenants", MONEY),
        *_rights(["change"], "tenants", ["tenant"]),
    ],
    "Engineer": [
        *_rights(["view"], "tenants", TRAFFIC),
        *_rights(["view"], "adapters", ADAPTERS),
        *_rights(["add"], "adapters", ["engine"]),
        *_rights(["change"], "adapters", ["adapterversion", "engine", "erasure"]),
    ],
    "Admin": [
        *_rights(["view", "add", "change"], "tenants", TENANTS),
        *_rights(["view", "add", "change"], "adapters", ADAPTERS),
        *_rights(["view"], "account", ["emailaddress"]),
    ],
}


def create_roles(apps, schema_editor):
    group_model = apps.get_model("auth", "Group")
    for name, rights in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*[_find_permission(apps, *right) for right in rights])


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
        ("adapters", "0017_asked_prices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_roles, migrations.RunPython.noop)]
