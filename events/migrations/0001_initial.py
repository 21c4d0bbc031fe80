"""The outbox of events, webhooks and mail about events."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.message_fields
import core.messages


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="OutboxEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("version.serving", "A version started serving."),
                            ("version.rejected", "An upload failed validation."),
                            ("version.failed", "No engine could load a version."),
                            ("version.retired", "A version was retired."),
                            ("training.succeeded", "A training finished; its version is ready to go live."),
                            ("training.failed", "A training failed."),
                            ("evaluation.succeeded", "A version was checked against texts by its author."),
                            ("evaluation.failed", "The check of a version failed."),
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
                            ("plan.changed", "The plan was changed, now or from next month on."),
                            ("payment.succeeded", "A payment succeeded, for a top-up or an invoice."),
                            ("payment.failed", "A payment failed, such as an automatic top-up."),
                            ("workspace.suspended", "The workspace was suspended."),
                            ("workspace.resumed", "The workspace's suspension was lifted."),
                            (
                                "workspace.deletion_requested",
                                "An owner requested deletion of the workspace. Any owner can still cancel it.",
                            ),
                            ("workspace.deletion_stopped", "The deletion of the workspace was cancelled."),
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
                (
                    "object",
                    models.JSONField(
                        decoder=core.messages.MessageDecoder,
                        encoder=core.messages.MessageEncoder,
                        help_text="As the API presents it, with messages.",
                    ),
                ),
                (
                    "facts",
                    models.JSONField(
                        decoder=core.messages.MessageDecoder,
                        default=dict,
                        encoder=core.messages.MessageEncoder,
                        help_text="Additional data.",
                    ),
                ),
                ("created_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="events",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="NoticeMail",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "leased_until",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="One worker has it until then at most.",
                        null=True,
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("usage", "Usage reaches 50, 80 or 100% of a month's tokens, budget or credits"),
                            ("uploads", "An uploaded version is rejected or can't be loaded"),
                            ("trainings", "A training of a style finishes or fails"),
                            ("canaries", "A canary ends automatically"),
                            ("shares", "Another workspace shares a style with this one"),
                            ("offers", "An offer to the public catalogue is approved or declined"),
                            (
                                "webhooks",
                                "A webhook endpoint is disabled, by operators or after failing for three days",
                            ),
                            ("invoices", "A month's invoice is ready"),
                            (
                                "payments",
                                "The plan or a selected style's price changes, or an automatic top-up is declined",
                            ),
                            ("keys", "An API key is created, rotated or revoked"),
                            ("workspace", "The workspace is suspended, reinstated or scheduled for deletion"),
                            ("invitation", "Invitation"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("sent", "Sent"),
                            ("skipped", "Skipped: too many of its kind within an hour"),
                            ("unwanted", "Switched off before it was sent"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "ended_at",
                    models.DateTimeField(help_text="When it was sent, skipped or abandoned.", null=True),
                ),
                (
                    "failure",
                    models.CharField(blank=True, help_text="Why the last attempt failed.", max_length=300),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "invitation",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="mails",
                        to="tenants.invitation",
                    ),
                ),
                (
                    "membership",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mails",
                        to="tenants.membership",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mails",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mails",
                        to="events.outboxevent",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ReachedThreshold",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("period", models.CharField(max_length=7)),
                (
                    "measure",
                    models.CharField(
                        choices=[
                            ("tokens", "Tokens"),
                            ("cap", "Cap"),
                            ("budget", "Budget"),
                            ("credits", "Credits"),
                        ],
                        max_length=10,
                    ),
                ),
                ("percent", models.PositiveSmallIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reached_thresholds",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                (
                    "leased_until",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="One worker has it until then at most.",
                        null=True,
                    ),
                ),
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("url", models.CharField(max_length=500)),
                ("description", models.CharField(blank=True, max_length=200)),
                (
                    "event_types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        blank=True,
                        default=list,
                        help_text="Empty: all types.",
                    ),
                ),
                ("sealed_secret", models.TextField(editable=False)),
                ("sealed_previous_secret", models.TextField(blank=True, editable=False)),
                ("previous_secret_until", models.DateTimeField(blank=True, editable=False, null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                ("disabled_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("disabled_reason", core.message_fields.MessageField(editable=False)),
                (
                    "failing_since",
                    models.DateTimeField(
                        blank=True,
                        editable=False,
                        help_text="Time of the first failure since the last success.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("changed_at", models.DateTimeField(auto_now=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_endpoints",
                        to="tenants.tenant",
                        verbose_name="workspace",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_id", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("delivered", "Delivered"), ("failed", "Failed")],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("next_attempt_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("attempted_at", models.DateTimeField(help_text="When the last attempt began.", null=True)),
                (
                    "status_code",
                    models.PositiveSmallIntegerField(help_text="From the last response.", null=True),
                ),
                ("latency_ms", models.PositiveIntegerField(help_text="From the last attempt.", null=True)),
                ("answer", models.TextField(blank=True, help_text="The first 2 KB of the last response.")),
                ("failure", core.message_fields.MessageField(help_text="Why the last attempt failed.")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="events.outboxevent",
                    ),
                ),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="events.webhookendpoint",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
            },
        ),
        migrations.AddIndex(
            model_name="outboxevent",
            index=models.Index(fields=["tenant", "-created_at"], name="events_of_a_tenant"),
        ),
        migrations.AddIndex(
            model_name="noticemail",
            index=models.Index(fields=["membership", "kind", "ended_at"], name="mails_of_a_member"),
        ),
        migrations.AddIndex(
            model_name="noticemail",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["next_attempt_at"], name="mails_to_send"
            ),
        ),
        migrations.AddConstraint(
            model_name="noticemail",
            constraint=models.UniqueConstraint(fields=("event", "membership"), name="one_mail_a_member"),
        ),
        migrations.AddConstraint(
            model_name="reachedthreshold",
            constraint=models.UniqueConstraint(
                fields=("tenant", "period", "measure", "percent"), name="reached_once"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookendpoint",
            index=models.Index(fields=["tenant", "-created_at"], name="endpoints_of_a_tenant"),
        ),
        migrations.AddConstraint(
            model_name="webhookendpoint",
            constraint=models.UniqueConstraint(fields=("tenant", "url"), name="one_endpoint_a_url"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["endpoint", "-id"], name="deliveries_newest"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["endpoint", "id"],
                name="deliveries_pending",
            ),
        ),
    ]
