from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0004_first_training_terms"),
    ]

    operations = [
        migrations.AlterField(
            model_name="outboxevent",
            name="type",
            field=models.CharField(
                choices=[
                    ("version.serving", "A version started serving."),
                    ("version.rejected", "An upload failed validation."),
                    ("version.failed", "No engine could load a version."),
                    ("version.retired", "A version was retired."),
                    ("training.succeeded", "A training finished; its version is ready to go live."),
                    ("training.failed", "A training failed."),
                    ("release.promoted", "A style's live version changed."),
                    ("release.rolled_back", "A style was rolled back to its previous version."),
                    ("canary.ended", "A canary ended, manually or because of its metrics."),
                    ("style.shared", "Another workspace shared a style with this one."),
                    ("style.offer_decided", "An offer was approved or declined."),
                    ("style.price_announced", "The price of a selected style will change."),
                    ("key.created", "An API key was created."),
                    ("key.rotated", "An API key's secret was rotated."),
                    ("key.revoked", "An API key was revoked."),
                    ("usage.threshold_reached", "Usage reached 50, 80 or 100% of a monthly limit."),
                    ("credit.granted", "Credits were added to the workspace."),
                    ("credit.expired", "Unused credits expired."),
                    ("invoice.finalized", "A monthly invoice was finalized."),
                    ("invoice.paid", "An invoice was paid."),
                    ("invoice.voided", "An invoice was voided."),
                    ("credit_note.issued", "An invoice was corrected by a credit note."),
                    ("plan.changed", "The plan was changed, effective `takes_effect_at`."),
                    ("payment.succeeded", "A payment succeeded, for a top-up or an invoice."),
                    ("payment.failed", "A payment failed, such as an automatic top-up."),
                    ("workspace.suspended", "The workspace was suspended."),
                    ("workspace.resumed", "The workspace's suspension was lifted."),
                    (
                        "workspace.deletion_requested",
                        "An owner requested deletion of the workspace. Any owner can cancel it until `deletion_at`.",
                    ),
                    ("workspace.deletion_stopped", "The deletion of the workspace was canceled."),
                    ("erasure.completed", "A version's files were completely erased."),
                    (
                        "webhook.disabled",
                        "An endpoint returned 410, failed for three days, or was disabled by operators.",
                    ),
                    ("webhook.test", "A test event, sent only to the endpoint under test."),
                ],
                max_length=40,
            ),
        ),
    ]
