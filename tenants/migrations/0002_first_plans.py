"""The first plans and the first price book. Data only."""

from datetime import UTC, datetime

from django.db import migrations

USD = 1_000_000_000

PLANS = [
    {
        "code": "free",
        "name": "Free",
        "monthly_fee_nanousd": 0,
        "included_tokens": 200_000,
        "monthly_tokens": 200_000,
        "requests_per_minute": 20,
        "tokens_per_minute": 40_000,
        "parallel_requests": 4,
        "max_output_tokens": 512,
        "private_styles": 3,
    },
    {
        "code": "writer",
        "name": "Writer",
        "monthly_fee_nanousd": 12 * USD,
        "included_tokens": 5_000_000,
        "monthly_tokens": 5_000_000,
        "requests_per_minute": 120,
        "tokens_per_minute": 200_000,
        "parallel_requests": 12,
        "max_output_tokens": 1024,
        "private_styles": 20,
    },
    {
        "code": "studio",
        "name": "Studio",
        "monthly_fee_nanousd": 48 * USD,
        "included_tokens": 20_000_000,
        "monthly_tokens": 20_000_000,
        "requests_per_minute": 600,
        "tokens_per_minute": 600_000,
        "parallel_requests": 32,
        "max_output_tokens": 2048,
        "private_styles": 100,
    },
]
FIRST_PRICES_FROM = datetime(2025, 1, 1, tzinfo=UTC)
# $0.10, $0.025 and $0.40 a million tokens
PRICES = {"input_nanousd": 100, "cached_input_nanousd": 25, "output_nanousd": 400}


def lay(apps, schema_editor):
    for facts in PLANS:
        limits = {name: value for name, value in facts.items() if name not in ("code", "name")}
        plan = apps.get_model("tenants", "Plan").objects.create(code=facts["code"], name=facts["name"])
        apps.get_model("tenants", "PlanVersion").objects.create(plan=plan, number=1, **limits)
    book = apps.get_model("tenants", "PriceBook").objects.create(effective_from=FIRST_PRICES_FROM)
    apps.get_model("tenants", "Price").objects.create(book=book, **PRICES)


def take_away(apps, schema_editor):
    for name in ("Price", "PriceBook", "PlanVersion", "Plan"):
        apps.get_model("tenants", name).objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]
    operations = [migrations.RunPython(lay, take_away)]
