from django.db import migrations

# See alerts/known.py for what it does, and for what its parameters and its result are. The function that it replaces,
# of the same name with other parameters, stays for processes that have yet to be restarted.
CREATE = """
CREATE FUNCTION alerts_take_known(
    arrived jsonb, integrations uuid[], groups jsonb, remembered jsonb,
    at timestamptz, quiet_since timestamptz, told_entries integer
)
RETURNS TABLE (numbers text, incidents text)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET enable_material = off
AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (
        SELECT FROM jsonb_to_recordset(remembered) AS r(id uuid, stamp text)
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
        -- By place: json_to_recordset takes twice the time.
        SELECT p.ordinality AS place, (e->>0)::uuid AS id, integrations[(e->>1)::integer] AS integration,
            (e->>2)::integer AS "group", e->>3 AS key, e->>4 AS title, e->>5 AS severity,
            (e->>6)::integer AS rank, e->>7 AS source, e->8 AS labels, e->9 AS metadata,
            (e->>10)::bigint AS count, a.id AS alert, a.status AS was, a.incident_id AS incident
        FROM jsonb_array_elements(arrived) WITH ORDINALITY AS p(e, ordinality)
        LEFT JOIN LATERAL (
            SELECT a.id, a.status, a.incident_id FROM alerts_alert a
            WHERE a.integration_id = integrations[(e->>1)::integer] AND a.dedup_key = e->>3 AND a.is_current
            LIMIT 1
        ) AS a ON true
    ), joinable AS MATERIALIZED (
        SELECT g.ordinality AS "group", i.id
        FROM jsonb_array_elements(groups) WITH ORDINALITY AS g(e, ordinality)
        CROSS JOIN LATERAL (
            SELECT i.id FROM incidents_incident i
            WHERE i.service_id = (g.e->>0)::uuid AND i.grouping_key = g.e->>1 AND i.status <> 'resolved'
                AND i.last_alert_at >= (g.e->>2)::timestamptz
            ORDER BY i.last_alert_at DESC
            LIMIT 1
        ) AS i
        WHERE g.e->>1 <> '' AND g.ordinality = ANY (ARRAY(SELECT DISTINCT "group" FROM k WHERE alert IS NULL))
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
        WHERE i.id = ANY (ARRAY(SELECT id FROM joinable UNION SELECT incident FROM k WHERE alert IS NOT NULL))
    ), decided AS MATERIALIZED (
        SELECT k.place, k.alert, i.id AS incident, i.number, CASE
            WHEN k.rank < i.rank THEN NULL
            WHEN k.was = 'firing' THEN 'repeated'
            WHEN k.alert IS NULL AND held.status <> 'resolved' AND i.is_told THEN 'joined'
        END AS outcome
        FROM k
        LEFT JOIN joinable j ON k.alert IS NULL AND j."group" = k."group"
        LEFT JOIN held ON held.id = j.id
        LEFT JOIN incident i ON i.id = coalesce(k.incident, j.id)
    ), agreed AS MATERIALIZED (
        SELECT count(*) = count(outcome) AS is_so FROM decided
    ), inserted AS (
        -- Were one of them there by now, the violated constraint would end all this.
        INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key,
            is_current, status, title, severity, source, labels, metadata, count, first_fired_at, last_fired_at)
        SELECT k.id, at, at, k.integration, d.incident, k.key,
            true, 'firing', k.title, k.severity, k.source, k.labels, k.metadata, k.count, at, at
        FROM k JOIN decided d ON d.place = k.place
        WHERE d.outcome = 'joined' AND (SELECT is_so FROM agreed)
        ORDER BY k.integration, k.key
        RETURNING 1
    ), locked AS MATERIALIZED (
        SELECT a.id, a.is_current AND a.status = 'firing' AS fires FROM alerts_alert a
        WHERE a.id = ANY (ARRAY(
            SELECT d.alert FROM decided d WHERE d.outcome = 'repeated' AND (SELECT is_so FROM agreed)
                -- After all is inserted, as in intake: in another order the two could deadlock.
                AND (SELECT count(*) FROM inserted) IS NOT NULL
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
    SELECT
        (SELECT json_agg(CASE WHEN outcome = 'joined' THEN number ELSE -number END ORDER BY place) FROM decided)::text,
        (SELECT json_agg(json_build_array(i.id, i.number, i.title, i.status, i.severity, i.service_id, i.team_id))
            FROM incident i)::text
    WHERE (SELECT is_so FROM agreed) AND (
        (SELECT count(*) FROM decided WHERE outcome = 'repeated') = (SELECT count(*) FROM updated)
        OR alerts_start_over() = 0
    );
END
$$;
"""
DROP = "DROP FUNCTION alerts_take_known(jsonb, uuid[], jsonb, jsonb, timestamptz, timestamptz, integer);"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0012_newest_alerts_first")]
    operations = [migrations.RunSQL(CREATE, DROP)]
