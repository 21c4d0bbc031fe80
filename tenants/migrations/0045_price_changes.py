"""The event and the notice of a new price of a selected style."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0044_admins_archive_usage"),
    ]

    operations = [
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
                    (
                        "payments",
                        "The plan or a selected style's price changes, or an automatic top-up is declined",
                    ),
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
                    ("style.price_announced", "A selected style is to cost something else."),
                    ("key.created", "An API key was made."),
                    ("key.rotated", "An API key got a new secret."),
                    ("key.revoked", "An API key was revoked."),
                    ("usage.threshold_reached", "50, 80 or 100 % of a month's limit is used."),
                    ("credit.granted", "Credits were added to the workspace."),
                    ("credit.expired", "What was left of some credits expired."),
                    ("invoice.finalized", "A month's invoice has its number and is to be paid."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "Nothing is asked for an invoice any more."),
                    ("credit_note.issued", "An invoice was corrected by a credit note."),
                    ("plan.changed", "Another plan was chosen; it holds from `takes_effect_at` on."),
                    ("payment.succeeded", "A payment came: a top-up or an invoice's."),
                    ("payment.failed", "A payment was declined, such as an automatic top-up."),
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
    ]
