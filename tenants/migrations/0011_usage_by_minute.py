"""Usage by minute, which canaries read, begun with the last day; and indexes of the console's lists."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

# Before the first event is recorded: a canary that runs is judged on.
LAST_DAY = """
    INSERT INTO tenants_usageminute
        (style, version_number, minute, requests, errors, empty, completion_tokens)
    SELECT style, version_number, date_trunc('minute', admitted_at, 'UTC'), count(*),
           count(*) FILTER (WHERE outcome = 'upstream_error'),
           count(*) FILTER (WHERE outcome = 'complete' AND finish_reason = 'empty'),
           coalesce(sum(completion_tokens) FILTER (WHERE outcome = 'complete'), 0)
    FROM tenants_usageevent
    WHERE admitted_at > now() - interval '1 day' AND outcome IN ('complete', 'upstream_error')
      AND style IS NOT NULL AND version_number IS NOT NULL
    GROUP BY 1, 2, 3
    ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    atomic = False  # indexes of large tables are made beside what goes on

    dependencies = [
        ("tenants", "0010_names_are_readable"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsageMinute",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("style", models.UUIDField()),
                ("version_number", models.PositiveIntegerField()),
                ("minute", models.DateTimeField()),
                ("requests", models.PositiveIntegerField()),
                ("errors", models.PositiveIntegerField()),
                ("empty", models.PositiveIntegerField()),
                ("completion_tokens", models.BigIntegerField()),
            ],
            options={
                "verbose_name_plural": "usage by minute",
            },
        ),
        AddIndexConcurrently(
            model_name="ledgerentry",
            index=models.Index(fields=["period", "-id"], name="ledger_newest_of_period"),
        ),
        AddIndexConcurrently(
            model_name="ledgerentry",
            index=models.Index(fields=["kind", "-id"], name="ledger_newest_of_kind"),
        ),
        AddIndexConcurrently(
            model_name="usagedaily",
            index=models.Index(fields=["-day", "-id"], name="daily_newest"),
        ),
        AddIndexConcurrently(
            model_name="usageevent",
            index=models.Index(fields=["-admitted_at", "-id"], name="usage_newest"),
        ),
        AddIndexConcurrently(
            model_name="usageevent",
            index=models.Index(fields=["outcome", "-admitted_at", "-id"], name="usage_by_outcome"),
        ),
        AddIndexConcurrently(
            model_name="usageevent",
            index=models.Index(fields=["engine", "-admitted_at", "-id"], name="usage_by_engine"),
        ),
        AddIndexConcurrently(
            model_name="usageminute",
            index=models.Index(fields=["minute"], name="minutes_oldest"),
        ),
        migrations.AddConstraint(
            model_name="usageminute",
            constraint=models.UniqueConstraint(
                fields=("style", "minute", "version_number"), name="one_row_a_minute"
            ),
        ),
        migrations.RunSQL(LAST_DAY, migrations.RunSQL.noop),
    ]
