from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0011_multipart"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="style",
            index=models.Index(fields=["owner", "-created_at", "-id"], name="style_newest_of_owner"),
        ),
    ]
