from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("tenants", "0024_credit_notes")]

    operations = [
        migrations.AddField(
            "price", "style_name",
            models.CharField(
                blank=True, default="", help_text="As in `model=`, when the edition was made.", max_length=100
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            "price", "is_base",
            models.BooleanField(default=False, help_text="Of the base model without a style."),
        ),
        migrations.AlterField(
            "pricebook", "effective_from",
            models.DateTimeField(help_text="In UTC; whole minutes.", unique=True),
        ),
        migrations.RemoveConstraint("price", "one_price_a_style"),
        migrations.AddConstraint(
            "price",
            models.UniqueConstraint(
                fields=("book", "style", "is_base"), name="one_price_a_style", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            "price",
            models.CheckConstraint(
                condition=Q(("style", None), ("is_base", False), _connector="OR"), name="price_of_one_thing"
            ),
        ),
    ]  # fmt: skip
