"""What the first plans allow of trainings, and what the first price book asks for them. Data only."""

from django.db import migrations

# at once, a month, words of each
LIMITS = {
    "free": (1, 3, 50_000),
    "writer": (2, 20, 200_000),
    "studio": (4, 100, 500_000),
    "enterprise": (16, 1_000, 1_000_000),
}
TRAINED_TOKEN_NANOUSD = 3_000  # $3 a million tokens


def add_terms(apps, schema_editor):
    versions = apps.get_model("tenants", "PlanVersion").objects
    for code, (at_once, monthly, words) in LIMITS.items():
        versions.filter(plan_id=code).update(
            parallel_trainings=at_once, monthly_trainings=monthly, training_words=words
        )
    # Only where it is the only one: elsewhere operators have set the prices, and this one is theirs, too.
    books = apps.get_model("tenants", "PriceBook").objects
    if books.count() == 1:
        books.update(trained_token_nanousd=TRAINED_TOKEN_NANOUSD)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_trainings")]
    operations = [migrations.RunPython(add_terms, migrations.RunPython.noop)]
