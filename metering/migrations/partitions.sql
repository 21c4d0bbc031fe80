-- Usage events lie in one partition a month (metering/partitions.py), which Django's models can't say:
-- the table is made anew here. Django adds the foreign keys when the migration ends. Migration 0001 runs this once.

CREATE TABLE metering_usageevent_by_month (LIKE metering_usageevent INCLUDING CONSTRAINTS) PARTITION BY LIST (period);
DROP TABLE metering_usageevent;
ALTER TABLE metering_usageevent_by_month RENAME TO metering_usageevent;
CREATE SEQUENCE metering_usageevent_id_seq OWNED BY metering_usageevent.id;
ALTER TABLE metering_usageevent
    ALTER COLUMN id SET DEFAULT nextval('metering_usageevent_id_seq'),
    ADD CONSTRAINT usage_events_primary PRIMARY KEY (id, period),
    ADD CONSTRAINT one_event_a_request UNIQUE (request_id, period);

CREATE INDEX usage_newest ON metering_usageevent (admitted_at DESC, id DESC);
CREATE INDEX usage_newest_of_tenant ON metering_usageevent (tenant_id, admitted_at DESC, id DESC);
CREATE INDEX usage_of_style ON metering_usageevent (style, admitted_at DESC);
CREATE INDEX usage_newest_of_name ON metering_usageevent (tenant_id, style_name, admitted_at DESC, id DESC);
CREATE INDEX usage_newest_of_key ON metering_usageevent (key_id, admitted_at DESC, id DESC);
CREATE INDEX usage_newest_broken ON metering_usageevent (tenant_id, admitted_at DESC, id DESC)
    WHERE NOT (outcome = 'complete');
CREATE INDEX usage_by_outcome ON metering_usageevent (outcome, admitted_at DESC, id DESC);
CREATE INDEX usage_by_engine ON metering_usageevent (engine, admitted_at DESC, id DESC);

CREATE TABLE metering_usageevent_rest PARTITION OF metering_usageevent DEFAULT;
DO $$
DECLARE
    first date;
BEGIN
    FOR ahead IN 0..2 LOOP  -- this month and the next two: beat makes the later ones
        first := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead);
        EXECUTE format('CREATE TABLE %I PARTITION OF metering_usageevent FOR VALUES IN (%L)',
                       to_char(first, '"metering_usageevent_"YYYY_MM'), to_char(first, 'YYYY-MM'));
    END LOOP;
END $$;
