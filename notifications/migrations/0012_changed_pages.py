from django.db import migrations, models

# In place of forgetting counted months at once under a lock, for which whoever changed old incidents or messages waited, with
# rows locked: two of them could wait for each other. The triggers of 0010 stay.
TELL = """
CREATE OR REPLACE FUNCTION notifications_forget_pages(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notifications_changedpages (since)
    VALUES (greatest(date_trunc('month', at AT TIME ZONE 'UTC')::date, DATE '0001-01-01'));
END $$;

CREATE OR REPLACE FUNCTION notifications_pages_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE oldest timestamptz; newest timestamptz;
BEGIN
    SELECT min(sent_at), max(sent_at) INTO oldest, newest FROM gone WHERE purpose = 'page' AND status = 'sent';
    IF oldest < date_trunc('month', now(), 'UTC') THEN
        INSERT INTO notifications_changedpages (since, until)
        VALUES (date_trunc('month', oldest AT TIME ZONE 'UTC'), newest AT TIME ZONE 'UTC');
    END IF;
    RETURN NULL;
END $$;
"""
FORGET_AT_ONCE = """
CREATE OR REPLACE FUNCTION notifications_forget_pages(at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE first date := date_trunc('month', at AT TIME ZONE 'UTC');
BEGIN
    PERFORM pg_advisory_xact_lock(7208115);
    DELETE FROM notifications_monthlypages WHERE month_id >= first;
    DELETE FROM notifications_countedpagesmonth WHERE month >= first;
END $$;

CREATE OR REPLACE FUNCTION notifications_pages_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE oldest timestamptz; newest timestamptz;
BEGIN
    SELECT min(sent_at), max(sent_at) INTO oldest, newest FROM gone WHERE purpose = 'page' AND status = 'sent';
    IF oldest < date_trunc('month', now(), 'UTC') THEN
        PERFORM pg_advisory_xact_lock(7208115);
        DELETE FROM notifications_monthlypages
        WHERE month_id BETWEEN date_trunc('month', oldest AT TIME ZONE 'UTC') AND newest AT TIME ZONE 'UTC';
        DELETE FROM notifications_countedpagesmonth
        WHERE month BETWEEN date_trunc('month', oldest AT TIME ZONE 'UTC') AND newest AT TIME ZONE 'UTC';
    END IF;
    RETURN NULL;
END $$;
-- What has changed and was not counted anew.
DELETE FROM notifications_monthlypages;
DELETE FROM notifications_countedpagesmonth;
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0011_pages_by_when_they_were_sent")]

    operations = [
        migrations.CreateModel(
            name="ChangedPages",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("since", models.DateField()),
                ("until", models.DateField(null=True)),
            ],
        ),
        migrations.RunSQL(TELL, FORGET_AT_ONCE),
    ]
