from django.db import migrations

# What it means is unchanged: see incidents/live/log.py. Events are returned as they get their places, in one statement:
# to look them up again took longer the more of them there were.
CREATE = """
CREATE OR REPLACE FUNCTION incidents_live_news(most integer)
RETURNS TABLE (
    epoch text, head bigint, floor bigint, "position" bigint, kind text, entry_id bigint,
    incident text, service text, team text, "user" text, data text
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    before incidents_livehead;
BEGIN
    IF NOT EXISTS (SELECT FROM incidents_liveevent WHERE position IS NULL) THEN
        RETURN;
    END IF;
    SELECT * INTO before FROM incidents_livehead FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM incidents_live_place(0);
        SELECT * INTO STRICT before FROM incidents_livehead;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    -- A statement of its own, after the lock: it sees whatever had been committed when the lock was had.
    RETURN QUERY
    WITH fresh AS MATERIALIZED (
        SELECT e.id, e.incident_id, row_number() OVER (ORDER BY e.id) AS place,
            i.number, i.title, i.severity, i.status, i.service_id, s.team_id
        FROM (
            SELECT id, incident_id FROM incidents_liveevent WHERE position IS NULL ORDER BY id LIMIT most
        ) AS e
        LEFT JOIN incidents_incident i ON i.id = e.incident_id
        LEFT JOIN teams_service s ON s.id = i.service_id
    ), placed AS (
        UPDATE incidents_liveevent e
        SET position = before.position + fresh.place,
            service_id = fresh.service_id,
            team_id = coalesce(e.team_id, fresh.team_id),
            data = CASE WHEN fresh.number IS NULL THEN '{}' ELSE jsonb_build_object('incident_id', fresh.incident_id,
                    'number', fresh.number, 'title', fresh.title, 'severity', fresh.severity, 'status', fresh.status) END
                || CASE WHEN e.entry_id IS NULL THEN '{}'
                    ELSE jsonb_build_object('entry', e.entry_id, 'what', e.kind) END
                || e.data
        FROM fresh WHERE e.id = fresh.id
        RETURNING e.*
    ), moved AS (
        UPDATE incidents_livehead AS h SET position = h.position + last.placed
        FROM (SELECT count(*) AS placed FROM placed) AS last WHERE last.placed > 0
        RETURNING to_hex('incidents_livehead'::regclass::oid::bigint) || '.' || h.epoch AS epoch, h.position, h.floor
    )
    SELECT m.epoch, m.position, m.floor, e.position, e.kind::text, e.entry_id, e.incident_id::text,
        e.service_id::text, e.team_id::text, e.user_id::text, e.data::text
    FROM moved m CROSS JOIN placed e ORDER BY e.position;
END
$$;
"""
BEFORE = """
CREATE OR REPLACE FUNCTION incidents_live_news(most integer)
RETURNS TABLE (
    epoch text, head bigint, floor bigint, "position" bigint, kind text, entry_id bigint,
    incident text, service text, team text, "user" text, data text
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    placed integer;
BEGIN
    IF EXISTS (SELECT FROM incidents_liveevent WHERE position IS NULL) THEN
        placed := incidents_live_place(most);
        RETURN QUERY
        SELECT h.epoch, h.position, h.floor, e.position, e.kind::text, e.entry_id, e.incident_id::text,
            e.service_id::text, e.team_id::text, e.user_id::text, e.data::text
        FROM incidents_live_at() AS h
        JOIN incidents_liveevent e ON e.position > h.position - placed
        ORDER BY e.position;
    END IF;
END
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("incidents", "0015_response")]
    operations = [migrations.RunSQL(CREATE, BEFORE)]
