from django.db import migrations, models

OFFERED = ["free", "writer", "studio"]
LINE_KINDS = [
    ("fee", "Fee"), ("hosting", "Hosting"), ("usage", "Usage"), ("included", "Included"),
    ("credit", "Credit"), ("adjustment", "Adjustment"), ("rounding", "Rounding"),
    ("kept", "kept as credits"),
]  # fmt: skip


def offer_plans(apps, schema_editor):
    apps.get_model("tenants", "Plan").objects.filter(code__in=OFFERED).update(is_offered=True)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0031_payment_methods")]
    operations = [
        migrations.AddField(
            model_name="plan",
            name="is_offered",
            field=models.BooleanField(
                default=False,
                help_text="Owners can choose it and the price list shows it; other plans operators give.",
                verbose_name="offered to everybody",
            ),
        ),
        migrations.AlterField(
            model_name="invoiceline",
            name="kind",
            field=models.CharField(choices=LINE_KINDS, max_length=12),
        ),
        migrations.RunPython(offer_plans, migrations.RunPython.noop),
    ]
