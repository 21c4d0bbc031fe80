"""Names hold no marks that can't be seen. State only: the database has nothing to change."""

from django.db import migrations, models
from foundation.names import validate_name


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_audit_log")]
    operations = [
        migrations.AlterField("apikey", "name", models.CharField(max_length=60, validators=[validate_name])),
        migrations.AlterField("tenant", "name", models.CharField(max_length=80, validators=[validate_name])),
        migrations.AlterField(
            "user",
            "first_name",
            models.CharField("first name", blank=True, max_length=150, validators=[validate_name]),
        ),
        migrations.AlterField(
            "user",
            "last_name",
            models.CharField("last name", blank=True, max_length=150, validators=[validate_name]),
        ),
    ]
