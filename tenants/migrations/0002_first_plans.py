"""The first plans, the first price book, and the numbers of invoices. Data only."""

from datetime import UTC, datetime

from django.db import migrations

USD = 1_000_000_000
GIB = 1024**3
IN_FORCE_FROM = datetime(2025, 1, 1, tzinfo=UTC)

PLANS = [
    {
        "code": "free",
        "name": "Free",
        "is_offered": True,
        "monthly_fee_nanousd": 0,
        "included_tokens": 200_000,
        "monthly_tokens": 200_000,
        "overage_allowed": False,
        "requests_per_minute": 20,
        "tokens_per_minute": 40_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 4,
        "sequences_per_request": 16,
        "max_output_tokens": 512,
        "weight": 1,
        "private_styles": 3,
        "stored_versions": 30,
        "stored_bytes": 2 * GIB,
        "open_uploads": 3,
    },
    {
        # Credits pay what comes after the included tokens, so the cap is above them.
        "code": "writer",
        "name": "Writer",
        "is_offered": True,
        "monthly_fee_nanousd": 12 * USD,
        "included_tokens": 5_000_000,
        "monthly_tokens": 20_000_000,
        "overage_allowed": False,
        "requests_per_minute": 120,
        "tokens_per_minute": 200_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 12,
        "sequences_per_request": 16,
        "max_output_tokens": 1024,
        "weight": 2,
        "private_styles": 20,
        "stored_versions": 300,
        "stored_bytes": 20 * GIB,
        "open_uploads": 8,
    },
    {
        "code": "studio",
        "name": "Studio",
        "is_offered": True,
        "monthly_fee_nanousd": 48 * USD,
        "included_tokens": 20_000_000,
        "monthly_tokens": 100_000_000,
        "overage_allowed": True,
        "requests_per_minute": 600,
        "tokens_per_minute": 600_000,
        "api_requests_per_minute": 300,
        "parallel_requests": 32,
        "sequences_per_request": 16,
        "max_output_tokens": 2048,
        "weight": 4,
        "private_styles": 100,
        "stored_versions": 2_000,
        "stored_bytes": 200 * GIB,
        "open_uploads": 20,
    },
    {
        # By arrangement only.
        "code": "enterprise",
        "name": "Enterprise",
        "is_offered": False,
        "monthly_fee_nanousd": 480 * USD,
        "included_tokens": 250_000_000,
        "monthly_tokens": 2_000_000_000,
        "overage_allowed": True,
        "requests_per_minute": 3_000,
        "tokens_per_minute": 4_000_000,
        "api_requests_per_minute": 1_200,
        "parallel_requests": 128,
        "sequences_per_request": 16,
        "max_output_tokens": 4096,
        "weight": 4,
        "private_styles": 1_000,
        "stored_versions": 5_000,
        "stored_bytes": 500 * GIB,
        "open_uploads": 20,
    },
]
# $0.10, $0.025 and $0.40 a million tokens
PRICES = {"input_nanousd": 100, "cached_input_nanousd": 25, "output_nanousd": 400}


def add_first_plans(apps, schema_editor):
    for facts in PLANS:
        limits = dict(facts)
        plan = apps.get_model("tenants", "Plan").objects.create(
            code=limits.pop("code"), name=limits.pop("name"), is_offered=limits.pop("is_offered")
        )
        versions = apps.get_model("tenants", "PlanVersion").objects
        versions.create(plan=plan, number=1, effective_from=IN_FORCE_FROM, **limits)
    book = apps.get_model("tenants", "PriceBook").objects.create(effective_from=IN_FORCE_FROM)
    apps.get_model("tenants", "Price").objects.create(book=book, **PRICES)
    apps.get_model("tenants", "InvoiceNumber").objects.create()


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]
    operations = [migrations.RunPython(add_first_plans, migrations.RunPython.noop)]
