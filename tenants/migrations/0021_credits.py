"""Credits: grants and burns. The database refuses every change, and burns beyond a grant."""

import django.db.models.deletion
from django.db import migrations, models

GUARD = """
CREATE FUNCTION tenants_refuse_credit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'grants and burns of credits never change' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER grants_stay BEFORE UPDATE OR DELETE ON tenants_creditgrant
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_credit_change();
CREATE TRIGGER burns_stay BEFORE UPDATE OR DELETE ON tenants_creditburn
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_credit_change();

CREATE FUNCTION tenants_check_credit_burn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    granted bigint;
    burned numeric;
BEGIN
    -- One burn of a grant at a time: another one that is not committed yet would not be seen.
    SELECT amount_nanousd INTO granted FROM tenants_creditgrant WHERE id = NEW.grant_id FOR NO KEY UPDATE;
    SELECT sum(amount_nanousd) INTO burned FROM tenants_creditburn WHERE grant_id = NEW.grant_id;
    IF burned < 0 OR burned > granted THEN
        RAISE EXCEPTION 'grant % is %, its burns would be %', NEW.grant_id, granted, burned
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER burns_stay_within_grants AFTER INSERT ON tenants_creditburn
    FOR EACH ROW EXECUTE FUNCTION tenants_check_credit_burn();
"""

UNGUARD = """
DROP TRIGGER burns_stay_within_grants ON tenants_creditburn;
DROP FUNCTION tenants_check_credit_burn();
DROP TRIGGER burns_stay ON tenants_creditburn;
DROP TRIGGER grants_stay ON tenants_creditgrant;
DROP FUNCTION tenants_refuse_credit_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0020_words_of_disabled_webhooks"),
    ]

    operations = [
        migrations.AlterField(
            model_name="invoiceline",
            name="kind",
            field=models.CharField(
                choices=[
                    ("fee", "Fee"),
                    ("usage", "Usage"),
                    ("included", "Included"),
                    ("credit", "Credit"),
                    ("adjustment", "Adjustment"),
                    ("rounding", "Rounding"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="noticemail",
            name="kind",
            field=models.CharField(
                choices=[
                    ("usage", "Usage reaches 50, 80 or 100 % of a month's tokens, budget or credits"),
                    ("uploads", "A version that was uploaded is rejected, or no engine can load it"),
                    ("canaries", "A canary ends by itself"),
                    ("shares", "Another workspace shares a style with this one"),
                    ("offers", "An offer to the public catalogue is approved or declined"),
                    (
                        "webhooks",
                        "A webhook endpoint is disabled, because it failed for three days or by operators",
                    ),
                    ("invoices", "A month's invoice is ready"),
                    ("keys", "An API key is made, replaced or revoked"),
                    ("workspace", "The workspace is suspended, or served again"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="outboxevent",
            name="type",
            field=models.CharField(
                choices=[
                    ("version.serving", "A version began to serve."),
                    ("version.rejected", "An upload was rejected by its validation."),
                    ("version.failed", "A version could not be loaded by any engine."),
                    ("version.retired", "A version was retired."),
                    ("release.promoted", "Another version answers for a style."),
                    ("release.rolled_back", "The version before answers for a style again."),
                    ("canary.ended", "A canary ended, by a person or by its figures."),
                    ("style.shared", "Another workspace shared a style with this one."),
                    ("style.offer_decided", "Operators approved or declined what was offered."),
                    ("key.created", "An API key was made."),
                    ("key.rotated", "An API key got a new secret."),
                    ("key.revoked", "An API key was revoked."),
                    ("usage.threshold_reached", "50, 80 or 100 % of a month's limit is used."),
                    ("credit.granted", "Credits were added to the workspace."),
                    ("credit.expired", "What was left of some credits expired."),
                    ("invoice.finalized", "A month's invoice has its number and is to be paid."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "Nothing is asked for an invoice any more."),
                    ("workspace.suspended", "The workspace is served no more."),
                    ("workspace.resumed", "The workspace is served again."),
                    ("erasure.completed", "A version's files are gone from everywhere."),
                    (
                        "webhook.disabled",
                        "An endpoint answered 410, failed for three days, or was disabled by operators.",
                    ),
                    ("webhook.test", "Somebody pressed “Send a test”. It goes to that endpoint alone."),
                ],
                max_length=40,
            ),
        ),
        migrations.AlterField(
            model_name="reachedthreshold",
            name="measure",
            field=models.CharField(
                choices=[("tokens", "Tokens"), ("budget", "Budget"), ("credits", "Credits")], max_length=10
            ),
        ),
        migrations.CreateModel(
            name="CreditGrant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("promotion", "Promotion"),
                            ("top_up", "top-up"),
                            ("author_share", "author's share"),
                            ("goodwill", "Goodwill"),
                        ],
                        max_length=12,
                    ),
                ),
                ("source_id", models.CharField(help_text="For a top-up: the payment's id.", max_length=66)),
                ("amount_nanousd", models.BigIntegerField()),
                (
                    "priority",
                    models.PositiveSmallIntegerField(default=100, help_text="The lower one burns first."),
                ),
                (
                    "first_period",
                    models.CharField(
                        help_text="Month in UTC in which it was granted, 2026-11.", max_length=7
                    ),
                ),
                (
                    "last_period",
                    models.CharField(
                        blank=True,
                        help_text="It expires at this month's end (UTC). Empty: it never does.",
                        max_length=7,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("actor", models.CharField(blank=True, max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_grants",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CreditBurn",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(help_text="The month whose usage it paid.", max_length=7)),
                ("amount_nanousd", models.BigIntegerField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "invoice",
                    models.ForeignKey(
                        blank=True,
                        help_text="None: it expired.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="credit_burns",
                        to="tenants.invoice",
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="burns",
                        to="tenants.creditgrant",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="creditgrant",
            index=models.Index(fields=["tenant", "-id"], name="grants_newest_of_tenant"),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.UniqueConstraint(fields=("source", "source_id"), name="one_grant_a_source"),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount_nanousd__gt", 0)), name="grants_are_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="creditgrant",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("last_period", ""), ("last_period__gte", models.F("first_period")), _connector="OR"
                ),
                name="grants_end_after_they_begin",
            ),
        ),
        migrations.AddConstraint(
            model_name="creditburn",
            constraint=models.UniqueConstraint(
                condition=models.Q(("amount_nanousd__gt", 0)),
                fields=("grant", "invoice", "period"),
                name="one_burn_an_invoice",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="creditburn",
            constraint=models.UniqueConstraint(
                condition=models.Q(("amount_nanousd__lt", 0)),
                fields=("grant", "invoice", "period"),
                name="given_back_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddConstraint(
            model_name="creditburn",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("amount_nanousd__gt", 0),
                    models.Q(("amount_nanousd__lt", 0), ("invoice__isnull", False)),
                    _connector="OR",
                ),
                name="only_invoices_give_back",
            ),
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
