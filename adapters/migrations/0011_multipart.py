from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0010_attested"),
    ]

    operations = [
        migrations.AddField(
            model_name="adapterversion",
            name="multipart",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="File name → upload_id, part_bytes, of files sent in parts. Empty: posted whole.",
            ),
        ),
    ]
