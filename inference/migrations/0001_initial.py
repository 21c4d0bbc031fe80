"""Stored responses and conversations."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredBytes",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tenants.tenant",
                    ),
                ),
                ("used_bytes", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Conversation",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("metadata", models.JSONField(default=dict)),
                ("last_position", models.PositiveIntegerField(default=0)),
                ("size_bytes", models.PositiveIntegerField(default=0, help_text="Of its items.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("changed_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ConversationItem",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                ("public_id", models.CharField(max_length=100)),
                ("content", models.BinaryField(help_text="The item, as JSON.")),
                ("size_bytes", models.PositiveIntegerField()),
                (
                    "conversation",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="inference.conversation",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StoredResponse",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        editable=False,
                        help_text="Its id is resp_ and this one's hex.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("key_id", models.UUIDField(help_text="The API key that made it.")),
                ("model", models.CharField(max_length=200)),
                (
                    "ancestors",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(),
                        help_text="The responses that it builds on, the first first.",
                    ),
                ),
                ("conversation_id", models.UUIDField(null=True)),
                ("items", models.BinaryField(help_text="The input items, as JSON.")),
                ("response", models.BinaryField(help_text="The response, as JSON.")),
                ("size_bytes", models.PositiveIntegerField(help_text="Of both.")),
                ("chain_bytes", models.PositiveBigIntegerField(help_text="Of this one and its ancestors.")),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(fields=["tenant", "changed_at"], name="conversations_of_a_tenant"),
        ),
        migrations.AddConstraint(
            model_name="conversationitem",
            constraint=models.UniqueConstraint(
                fields=("conversation", "position"), name="one_item_a_position"
            ),
        ),
        migrations.AddConstraint(
            model_name="conversationitem",
            constraint=models.UniqueConstraint(fields=("conversation", "public_id"), name="one_item_an_id"),
        ),
        migrations.AddIndex(
            model_name="storedresponse",
            index=models.Index(fields=["tenant", "created_at"], name="responses_of_a_tenant"),
        ),
    ]
