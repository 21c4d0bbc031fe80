from django.db import migrations, models

COUNTERS = [
    ("engine", "generation"),
    ("engine", "observed_generation"),
    ("style", "versions_generation"),
    ("style", "observed_versions_generation"),
]


class Migration(migrations.Migration):
    dependencies = [("adapters", "0012_style_newest_of_owner")]

    operations = [
        migrations.AddField(model, name, models.PositiveBigIntegerField(default=0, editable=False))
        for model, name in COUNTERS
    ]
