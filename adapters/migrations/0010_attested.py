from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("adapters", "0009_desired_and_generation"),
    ]

    operations = [
        migrations.AlterField(
            model_name="engineerasure",
            name="proof",
            field=models.CharField(
                blank=True,
                choices=[
                    ("restart", "the engine was restarted since"),
                    ("eviction", "as many other adapters were loaded since as its memory holds"),
                    ("never", "it was never loaded there"),
                    ("vouched", "an operator attests that its machines were wiped"),
                ],
                max_length=10,
            ),
        ),
    ]
