from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenants", "0012_daily_usage_of_a_tenant")]

    operations = [
        migrations.RenameField("tenant", "gate_changes", "generation"),
        migrations.RenameField("tenant", "gate_published", "observed_generation"),
        migrations.RemoveConstraint("tenant", "one_house"),
        migrations.RenameField("tenant", "is_house", "is_first_party"),
        migrations.AddConstraint(
            "tenant",
            models.UniqueConstraint(
                fields=["is_first_party"],
                condition=models.Q(is_first_party=True),
                name="one_first_party_tenant",
            ),
        ),
    ]
