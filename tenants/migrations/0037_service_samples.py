"""The console's own series. Schema only."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0036_audit_chain")]
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
                ("at", models.DateTimeField(unique=True, help_text="A whole minute.")),
                (
                    "totals",
                    models.JSONField(help_text="Requests, tokens, errors by code, first bytes by bucket."),
                ),
            ],
        ),
    ]
