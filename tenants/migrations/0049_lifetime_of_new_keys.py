from django.db import migrations, models

HELP = "After how many days a new API key ends where its maker says nothing else. None: never."


class Migration(migrations.Migration):
    dependencies = [("tenants", "0048_limits_of_new_keys")]

    operations = [
        # Workspaces from before keep what their programs rely on: keys without an end.
        migrations.AddField(
            model_name="tenant",
            name="key_lifetime_days",
            field=models.PositiveSmallIntegerField(blank=True, editable=False, help_text=HELP, null=True),
        ),
        migrations.AlterField(
            model_name="tenant",
            name="key_lifetime_days",
            field=models.PositiveSmallIntegerField(
                blank=True, default=365, editable=False, help_text=HELP, null=True
            ),
        ),
    ]
