import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0018_operator_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            model_name="style",
            name="tags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=30),
                blank=True,
                default=list,
                help_text="What kind of texts it is for: small letters, digits and hyphens.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="style",
            name="language",
            field=models.CharField(
                blank=True, default="", help_text="In which it writes, as en or pt-br.", max_length=10
            ),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="style",
            index=django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="style_tags"),
        ),
        migrations.CreateModel(
            name="Favourite",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "style",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to="adapters.style",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("user"), models.F("style"), name="one_favourite")
                ]
            },
        ),
    ]
