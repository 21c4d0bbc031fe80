"""Whom invoices are made out to: kept on the invoice, and frozen with it."""

import django.db.models.deletion
import foundation.names
from django.db import migrations, models

GUARD = """
CREATE OR REPLACE FUNCTION tenants_refuse_invoice_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'draft' AND (TG_OP = 'DELETE'
        OR (NEW.tenant_id, NEW.period, NEW.number, NEW.plan, NEW.total_nanousd, NEW.finalized_at{frozen_new})
           IS DISTINCT FROM
           (OLD.tenant_id, OLD.period, OLD.number, OLD.plan, OLD.total_nanousd, OLD.finalized_at{frozen_old})
        OR NEW.state = 'draft' OR (OLD.state <> 'finalized' AND NEW.state <> OLD.state)) THEN
        RAISE EXCEPTION 'a finalized invoice never changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
"""
WITH_DETAILS = GUARD.format(frozen_new=", NEW.bill_to, NEW.issuer", frozen_old=", OLD.bill_to, OLD.issuer")
BEFORE = GUARD.format(frozen_new="", frozen_old="")


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0021_credits"),
    ]

    operations = [
        migrations.AddField(
            model_name="invoice",
            name="bill_to",
            field=models.TextField(blank=True, help_text="The billing details of the day it was finalized."),
        ),
        migrations.AddField(
            model_name="invoice",
            name="issuer",
            field=models.TextField(blank=True, help_text="Who sent it: INVOICE_ISSUER of that day."),
        ),
        migrations.CreateModel(
            name="BillingDetails",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        help_text="A company or a person. Empty: the workspace's name.",
                        max_length=100,
                        validators=[foundation.names.validate_name],
                        verbose_name="billed to",
                    ),
                ),
                (
                    "address",
                    models.TextField(
                        blank=True,
                        help_text="As on a letter.",
                        max_length=300,
                        validators=[foundation.names.validate_text],
                    ),
                ),
                (
                    "tax_id",
                    models.CharField(
                        blank=True,
                        help_text="Such as a VAT number. It is printed and not checked.",
                        max_length=40,
                        validators=[foundation.names.validate_name],
                        verbose_name="tax id",
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="Such as a purchase order.",
                        max_length=60,
                        validators=[foundation.names.validate_name],
                        verbose_name="your reference",
                    ),
                ),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="billing_details",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "billing details",
            },
        ),
        migrations.RunSQL(WITH_DETAILS, BEFORE),
    ]
