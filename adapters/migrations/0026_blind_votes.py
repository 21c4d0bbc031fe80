import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0025_engine_samples"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="style",
            name="votes_before_promotion",
            field=models.PositiveSmallIntegerField(
                default=0,
                db_default=0,
                help_text="Blind votes against the live version that a promotion asks for; 0: none.",
            ),
        ),
        migrations.CreateModel(
            name="BlindVote",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "choice",
                    models.CharField(
                        blank=True,
                        choices=[("left", "Left"), ("right", "Right"), ("tie", "Tie")],
                        help_text="Empty: not voted yet.",
                        max_length=5,
                    ),
                ),
                ("begun_at", models.DateTimeField(auto_now_add=True)),
                ("voted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "left",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "right",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="adapters.adapterversion",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="blind_votes",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "voter",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["tenant", "-begun_at", "-id"], name="vote_newest_of_tenant"),
                    models.Index(fields=["begun_at"], name="vote_oldest"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("left", models.F("right")), _negated=True), name="vote_is_of_two"
                    )
                ],
            },
        ),
    ]
