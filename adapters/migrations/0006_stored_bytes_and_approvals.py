"""What the storage keeps of each version, and what operators approved of each public style."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Now


def count_stored_bytes(apps, schema_editor):
    """Count what is kept; of rejected versions only what is kept for a conversion or to be looked at."""
    versions = apps.get_model("adapters", "AdapterVersion").objects.filter(files_gone_at=None)
    is_looked_at = Q(findings__contains=[{"code": "check_failed"}])
    is_kept = ~Q(status="rejected") | ~Q(conversions=[]) | is_looked_at
    versions.filter(is_kept).update(stored_bytes=F("size_bytes"))


def approve_what_is_public(apps, schema_editor):
    """Approve what others use today."""
    public = {"is_public": True, "owner__is_house": False}
    apps.get_model("adapters", "Style").objects.filter(**public).update(
        approved_version=F("live_version"),
        approved_name=F("name"),
        approved_description=F("description"),
        approved_sample_prompt=F("sample_prompt"),
        approved_sample=F("sample"),
    )
    of_public = {f"style__{field}": value for field, value in public.items()}
    versions = apps.get_model("adapters", "AdapterVersion").objects.filter(status="serving", **of_public)
    versions.update(approved_at=Now())


class Migration(migrations.Migration):
    dependencies = [("adapters", "0005_retries_replicas_and_gone_engines")]
    # That one renames the field by which approve_what_is_public knows the service's own styles.
    run_before = [("tenants", "0013_generation_and_first_party")]
    operations = [
        migrations.AddField(
            model_name="adapterversion",
            name="stored_bytes",
            field=models.BigIntegerField(
                default=0,
                help_text="What the storage keeps of it, or is to receive: it counts against the plan.",
            ),
        ),
        migrations.AddField(
            model_name="adapterversion",
            name="approved_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When operators let it answer for others, of a public style.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="style",
            name="approved_version",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="adapters.adapterversion",
            ),
        ),
        migrations.AddField(
            model_name="style",
            name="approved_name",
            field=models.CharField(blank=True, max_length=60),
        ),
        migrations.AddField(
            model_name="style",
            name="approved_description",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name="style",
            name="approved_sample_prompt",
            field=models.CharField(blank=True, max_length=300),
        ),
        migrations.AddField(
            model_name="style",
            name="approved_sample",
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AddField(
            model_name="style",
            name="changed_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When its words or its live version last changed.",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="style",
            name="declined_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="When an operator last declined what it shows.",
                null=True,
            ),
        ),
        migrations.RunPython(count_stored_bytes, migrations.RunPython.noop),
        migrations.RunPython(approve_what_is_public, migrations.RunPython.noop),
    ]
