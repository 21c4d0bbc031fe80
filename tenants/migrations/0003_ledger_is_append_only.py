"""The database itself refuses to change or delete what was booked. Schema only."""

from django.db import migrations

GUARD = """
CREATE FUNCTION tenants_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are append-only: correct one by a new entry'
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE ON tenants_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION tenants_refuse_ledger_change();
"""

UNGUARD = """
DROP TRIGGER ledger_is_append_only ON tenants_ledgerentry;
DROP FUNCTION tenants_refuse_ledger_change();
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_first_plans")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
