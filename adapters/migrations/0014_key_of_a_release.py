"""The key of a program that moved an alias. Schema only."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0013_generations_of_engines_and_versions"),
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="release",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                help_text="The program's key.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="tenants.apikey",
            ),
        ),
        migrations.AlterField(
            model_name="release",
            name="actor",
            field=models.ForeignKey(
                blank=True,
                help_text="None: by itself, or a program.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
