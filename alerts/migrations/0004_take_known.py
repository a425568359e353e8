from django.db import migrations

# See alerts/known.py for what it does and when it is called.
CREATE = """
CREATE FUNCTION alerts_start_over() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'another transaction has stored or closed one of the alerts' USING ERRCODE = '40001';
END
$$;

CREATE FUNCTION alerts_take_known(
    arrived json, remembered json, at timestamptz, quiet_since timestamptz, told_entries integer
)
RETURNS TABLE (
    place integer, outcome text,
    id text, number bigint, title text, status text, severity text, service_id text, team_id text
)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET enable_material = off
AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (
        SELECT FROM json_to_recordset(remembered) AS r(id uuid, stamp text)
        LEFT JOIN LATERAL (
            SELECT concat_ws('.', i.xmin, s.xmin, t.xmin) AS stamp
            FROM alerts_integration i
            JOIN teams_service s ON s.id = i.service_id
            JOIN teams_team t ON t.id = s.team_id
            WHERE i.id = r.id
            FOR KEY SHARE OF i
        ) AS found ON true
        WHERE found.stamp IS DISTINCT FROM r.stamp
    ) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH k AS MATERIALIZED (
        SELECT k.*, a.id AS alert, a.status AS was, a.incident_id AS incident
        FROM json_to_recordset(arrived) AS k(place integer, id uuid, integration uuid, key text, title text,
            severity text, rank integer, source text, labels jsonb, metadata jsonb, count bigint,
            service uuid, "group" text, since timestamptz)
        LEFT JOIN LATERAL (
            SELECT a.id, a.status, a.incident_id FROM alerts_alert a
            WHERE a.integration_id = k.integration AND a.dedup_key = k.key AND a.is_current
            LIMIT 1
        ) AS a ON true
    ), joinable AS MATERIALIZED (
        SELECT g.service, g."group", i.id
        FROM (
            SELECT service, "group", max(since) AS since FROM k
            WHERE alert IS NULL AND "group" <> '' GROUP BY service, "group"
        ) AS g
        CROSS JOIN LATERAL (
            SELECT i.id FROM incidents_incident i
            WHERE i.service_id = g.service AND i.grouping_key = g."group" AND i.status <> 'resolved'
                AND i.last_alert_at >= g.since
            ORDER BY i.last_alert_at DESC
            LIMIT 1
        ) AS i
    ), held AS MATERIALIZED (
        SELECT i.id, i.status FROM incidents_incident i
        WHERE i.id = ANY (ARRAY(SELECT id FROM joinable))
        ORDER BY i.id FOR SHARE
    ), incident AS MATERIALIZED (
        SELECT i.id, i.number, i.title, i.status, i.severity, i.service_id, s.team_id,
            array_position(ARRAY['critical', 'high', 'medium', 'low'], i.severity::text) - 1 AS rank,
            i.alert_entries >= told_entries AND i.last_alert_at >= quiet_since AS is_told
        FROM incidents_incident i
        CROSS JOIN LATERAL (SELECT s.team_id FROM teams_service s WHERE s.id = i.service_id LIMIT 1) AS s
        WHERE i.id = ANY (ARRAY(SELECT id FROM joinable UNION SELECT incident FROM k WHERE incident IS NOT NULL))
    ), decided AS MATERIALIZED (
        SELECT k.place, k.alert, i.id AS incident, i.number, CASE
            WHEN k.rank < i.rank THEN NULL
            WHEN k.was = 'firing' THEN 'repeated'
            WHEN k.alert IS NULL AND held.status <> 'resolved' AND i.is_told THEN 'joined'
        END AS outcome
        FROM k
        LEFT JOIN joinable j ON k.alert IS NULL AND j.service = k.service AND j."group" = k."group"
        LEFT JOIN held ON held.id = j.id
        LEFT JOIN incident i ON i.id = coalesce(k.incident, j.id)
    ), agreed AS MATERIALIZED (
        SELECT count(*) = count(d.outcome) AS is_so, count(*) AS total FROM decided d
    ), inserted AS (
        INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key,
            is_current, status, title, severity, source, labels, metadata, count, first_fired_at, last_fired_at)
        SELECT k.id, at, at, k.integration, d.incident, k.key,
            true, 'firing', k.title, k.severity, k.source, k.labels, k.metadata, k.count, at, at
        FROM k JOIN decided d ON d.place = k.place
        WHERE d.outcome = 'joined' AND (SELECT is_so FROM agreed)
        ORDER BY k.integration, k.key
        ON CONFLICT (integration_id, dedup_key) WHERE is_current DO NOTHING
        RETURNING 1
    ), locked AS MATERIALIZED (
        SELECT a.id, a.is_current AND a.status = 'firing' AS fires FROM alerts_alert a
        WHERE a.id = ANY (ARRAY(
            SELECT d.alert FROM decided d WHERE d.outcome = 'repeated' AND (SELECT is_so FROM agreed)
        ))
        ORDER BY a.id FOR NO KEY UPDATE
    ), updated AS (
        UPDATE alerts_alert a
        SET title = k.title, severity = k.severity, source = k.source, labels = k.labels,
            metadata = k.metadata, count = a.count + k.count, last_fired_at = at, updated_at = at
        FROM locked JOIN k ON k.alert = locked.id
        WHERE a.id = locked.id AND locked.fires
        RETURNING 1
    )
    SELECT d.place, d.outcome, NULL::text, d.number, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text
    FROM decided d
    WHERE NOT (SELECT is_so FROM agreed) OR (SELECT total FROM agreed) =
        (SELECT count(*) FROM inserted) + (SELECT count(*) FROM updated) OR alerts_start_over() = 0
    UNION ALL
    SELECT NULL, NULL, i.id::text, i.number, i.title::text, i.status::text, i.severity::text,
        i.service_id::text, i.team_id::text
    FROM incident i;
END
$$;
"""
DROP = """
DROP FUNCTION alerts_take_known(json, json, timestamptz, timestamptz, integer);
DROP FUNCTION alerts_start_over();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0003_rows_for_growth"),
        ("incidents", "0002_alert_entries"),
        ("teams", "0001_initial"),
    ]
    operations = [migrations.RunSQL(CREATE, DROP)]
