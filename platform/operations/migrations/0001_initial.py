"""What operators' tools keep, and the roles of operators as groups with their rights.

A group of the same name that exists gets the rights beside its own.
"""

import django.contrib.postgres.fields
import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models

# role → app, verbs, models
ROLES = {
    "Support": [
        ("account", "view", "emailaddress"),
        ("adapters", "view", "basemodel engine engineerasure erasure placement release"),
        ("adapters", "view change", "adapterversion pricechange share style"),
        ("billing", "view", "billingdetails creditnote payment"),
        ("events", "view", "noticemail webhookdelivery"),
        ("events", "view change", "webhookendpoint"),
        (
            "metering",
            "view",
            "authorearning creditburn creditgrant hostedstyle invoice invoiceline ledgerentry plan planversion price pricebook styleprice subscription traininghold usagedaily usageevent",
        ),
        ("operations", "view", "failedtask"),
        ("tenants", "view", "auditentry membership user"),
        ("tenants", "view change", "apikey tenant"),
        ("training", "view change", "training"),
    ],
    "Finance": [
        ("adapters", "view change", "pricechange"),
        ("billing", "view", "billingdetails"),
        ("billing", "view add change", "creditnote payment"),
        ("events", "view", "noticemail webhookdelivery webhookendpoint"),
        (
            "metering",
            "view",
            "authorearning creditburn hostedstyle invoiceline traininghold usagedaily usageevent",
        ),
        (
            "metering",
            "view add change",
            "creditgrant invoice ledgerentry plan planversion price pricebook styleprice subscription",
        ),
        ("tenants", "view", "apikey auditentry membership user"),
        ("tenants", "view change", "tenant"),
        ("training", "view", "training"),
    ],
    "Engineer": [
        ("adapters", "view", "basemodel engineerasure placement pricechange release share style"),
        ("adapters", "view add change", "engine"),
        ("adapters", "view change", "adapterversion erasure"),
        ("events", "view", "noticemail webhookdelivery webhookendpoint"),
        ("metering", "view", "usagedaily usageevent"),
        ("operations", "view change", "failedtask"),
        ("tenants", "view", "apikey auditentry tenant"),
        ("training", "view change", "training"),
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
        ("events", "view add change", "noticemail webhookdelivery webhookendpoint"),
        ("metering", "view", "traininghold"),
        (
            "metering",
            "view add change",
            "authorearning creditburn creditgrant hostedstyle invoice invoiceline ledgerentry plan planversion price pricebook styleprice subscription usagedaily usageevent",
        ),
        ("operations", "view change", "failedtask"),
        ("tenants", "view add change", "apikey auditentry membership user"),
        ("tenants", "view add change delete", "tenant"),
        ("training", "view change", "training"),
    ],
}


def create_roles(apps, schema_editor):
    for name, rights in ROLES.items():
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        for app, verbs, names in rights:
            for model in names.split():
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
    initial = True

    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("billing", "0001_initial"),
        ("training", "0001_initial"),
        ("metering", "0001_initial"),
        ("events", "0001_initial"),
        ("adapters", "0001_initial"),
        ("account", "0001_initial"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ServiceSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(help_text="Start of the minute.", unique=True)),
                (
                    "totals",
                    models.JSONField(
                        help_text="Requests, tokens, errors by code, times to first byte by bucket."
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="FailedTask",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("task", models.CharField(max_length=100)),
                ("digest", models.CharField(editable=False, help_text="Of its arguments.", max_length=64)),
                (
                    "args",
                    models.JSONField(
                        default=list,
                        encoder=django.core.serializers.json.DjangoJSONEncoder,
                        help_text="Ids; secrets are masked.",
                    ),
                ),
                (
                    "kwargs",
                    models.JSONField(default=dict, encoder=django.core.serializers.json.DjangoJSONEncoder),
                ),
                (
                    "is_masked",
                    models.BooleanField(
                        default=False, help_text="Some arguments were hidden, so it can't be run again."
                    ),
                ),
                ("queue", models.CharField(blank=True, max_length=80)),
                ("error", models.CharField(max_length=500)),
                ("traceback", models.TextField(blank=True)),
                ("times", models.PositiveIntegerField(default=1)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField(db_index=True)),
                (
                    "retried_at",
                    models.DateTimeField(
                        blank=True, help_text="When an operator last ran it again.", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "failed job",
                "constraints": [
                    models.UniqueConstraint(fields=("task", "digest"), name="one_row_a_failing_task")
                ],
            },
        ),
        migrations.CreateModel(
            name="SampleData",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user_ids",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), help_text="Accounts that nobody can log in to."
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("removed_at", models.DateTimeField(null=True)),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "sample data",
            },
        ),
        migrations.RunPython(create_roles, migrations.RunPython.noop),
    ]
