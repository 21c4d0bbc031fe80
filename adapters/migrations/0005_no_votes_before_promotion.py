"""A promotion asks for no blind votes."""

from django.db import migrations


class Migration(migrations.Migration):
    unused_since = "1.0.0, the first release"
    dependencies = [("adapters", "0004_default_sampling_of_styles")]

    operations = [
        migrations.RemoveField(model_name="style", name="votes_before_promotion"),
    ]
