import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0003_releases_probes_shares_and_erasures"),
    ]

    operations = [
        migrations.CreateModel(
            name="BaseReading",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("process_began_at", models.DateTimeField()),
                (
                    "answers",
                    models.JSONField(
                        help_text="Per fixed prompt: {prompt, likeliest}, token → log-probability."
                    ),
                ),
                (
                    "noise",
                    models.FloatField(
                        help_text="Mean shift when some prompts are asked again in a smaller batch."
                    ),
                ),
                (
                    "engine",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="base_reading",
                        to="adapters.engine",
                    ),
                ),
            ],
        ),
    ]
