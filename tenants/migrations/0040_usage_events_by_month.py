"""Usage events in partitions by month, and what is written down of months that were archived.

The rows are copied in one transaction: it ends whole or changes nothing. Meanwhile pages read the old table
and drains wait; usage events wait in Valkey, and requests notice nothing. It needs the events' size on the
disk once more, and as measured about a minute for two million rows: docs/running.md.
"""

from django.db import migrations, models
from foundation import months

BEGIN = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL maintenance_work_mem = '256MB';
    LOCK TABLE tenants_usageevent IN SHARE ROW EXCLUSIVE MODE;
    CREATE TABLE tenants_usageevent_new (LIKE tenants_usageevent INCLUDING CONSTRAINTS)
        PARTITION BY LIST (period);
    CREATE TABLE tenants_usageevent_rest PARTITION OF tenants_usageevent_new DEFAULT;
    CREATE SEQUENCE tenants_usageevent_id_by_month OWNED BY tenants_usageevent_new.id;
    ALTER TABLE tenants_usageevent_new
        ALTER COLUMN id SET DEFAULT nextval('tenants_usageevent_id_by_month');
    ALTER TABLE tenants_usageevent_rest
        ALTER COLUMN id SET DEFAULT nextval('tenants_usageevent_id_by_month');
"""
PERIODS = """
    SELECT DISTINCT period FROM tenants_usageevent WHERE period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'
"""
PARTITION = """
    CREATE TABLE tenants_usageevent_{name} PARTITION OF tenants_usageevent_new FOR VALUES IN ('{period}');
"""
COPY = """
    INSERT INTO tenants_usageevent_new SELECT * FROM tenants_usageevent ORDER BY id;
    SELECT setval('tenants_usageevent_id_by_month', greatest(1, coalesce(max(id), 0)), count(*) > 0)
        FROM tenants_usageevent;
"""
# The indexes of before, and with their names of before once the old table is gone.
INDEXES = {
    "usage_newest_of_tenant": "tenant_id, admitted_at DESC, id DESC",
    "usage_of_style": "style, admitted_at DESC",
    "usage_newest": "admitted_at DESC, id DESC",
    "usage_by_outcome": "outcome, admitted_at DESC, id DESC",
    "usage_by_engine": "engine, admitted_at DESC, id DESC",
    "tenants_usageevent_key_id": "key_id",
}
KEYS = """
    ALTER TABLE tenants_usageevent_new ADD CONSTRAINT usage_events_primary PRIMARY KEY (id, period);
    ALTER TABLE tenants_usageevent_new
        ADD CONSTRAINT one_event_a_request UNIQUE (request_id, period);
"""
FOREIGN_KEYS = """
    ALTER TABLE tenants_usageevent_new
        ADD CONSTRAINT usage_events_tenant FOREIGN KEY (tenant_id) REFERENCES tenants_tenant (id)
            DEFERRABLE INITIALLY DEFERRED,
        ADD CONSTRAINT usage_events_key FOREIGN KEY (key_id) REFERENCES tenants_apikey (id)
            DEFERRABLE INITIALLY DEFERRED;
"""
SWAP = """
    DROP TABLE tenants_usageevent;
    ALTER TABLE tenants_usageevent_new RENAME TO tenants_usageevent;
    ALTER SEQUENCE tenants_usageevent_id_by_month RENAME TO tenants_usageevent_id_seq;
"""


def divide_events(apps, schema_editor):
    """Copy the events into partitions, one for each month that has any and for the next two."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(BEGIN)
        cursor.execute(
            "SELECT DISTINCT period FROM tenants_usageevent WHERE period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'"
        )
        periods = {period for (period,) in cursor.fetchall()} | _coming_periods()
        for period in sorted(periods):
            cursor.execute(PARTITION.format(name=period.replace("-", "_"), period=period))
        cursor.execute(COPY)
        cursor.execute(KEYS)
        for name, columns in INDEXES.items():
            cursor.execute(f"CREATE INDEX new_{name} ON tenants_usageevent_new ({columns})")
        cursor.execute(FOREIGN_KEYS)
        cursor.execute(SWAP)
        for name in INDEXES:
            cursor.execute(f"ALTER INDEX new_{name} RENAME TO {name}")


def _coming_periods():
    period = months.current()
    periods = set()
    for _ in range(3):
        periods.add(period)
        period = months.period_of(months.bounds(period)[1])
    return periods


class Migration(migrations.Migration):
    dependencies = [("tenants", "0039_refused_requests")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(divide_events)],
            state_operations=[
                migrations.AlterField(
                    model_name="usageevent",
                    name="request_id",
                    field=models.CharField(max_length=40),
                ),
                migrations.AddConstraint(
                    model_name="usageevent",
                    constraint=models.UniqueConstraint(
                        fields=["request_id", "period"], name="one_event_a_request"
                    ),
                ),
            ],
        ),
    ]
