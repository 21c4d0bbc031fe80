"""Invitations, and the foundings that the rate of new workspaces counts."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Founding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("person", models.CharField(max_length=64)),
                ("domain", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("network", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["person", "created_at"], name="founding_of_person")],
            },
        ),
    ]
