from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("adapters", "0006_stored_bytes_and_approvals")]

    operations = [
        migrations.AddField(
            model_name="adapterversion",
            name="examined_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When its check was begun last: workspaces take turns by it.",
                null=True,
            ),
        ),
    ]
