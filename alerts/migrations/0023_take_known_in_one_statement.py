from django.db import migrations

# See alerts/known.py for what it does, and for what its parameters and its result are. The function that it replaces,
# of the same name with other parameters, stays for processes that have yet to be restarted.
#
# A batch of a few alerts costs what it takes to begin and end the statement: so it is one, with few steps and narrow
# rows, and its plan is made once.
CREATE = """
CREATE FUNCTION alerts_take_known(
    arrived jsonb, integrations uuid[], stamps text[], groups jsonb,
    at timestamptz, quiet_since timestamptz, told_entries integer
)
RETURNS text
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET enable_material = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    told text;
BEGIN
    WITH k AS MATERIALIZED (
        -- By place: json_to_recordset takes twice the time. What is only stored stays in `e`: wide rows are dear.
        SELECT p.ordinality AS place, e, (e->>2)::integer AS "group", (e->>6)::integer AS rank,
            a.id AS alert, a.status AS was, a.incident_id AS incident
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
        SELECT j."group", i.id, i.status FROM joinable j JOIN incidents_incident i ON i.id = j.id
        ORDER BY i.id FOR SHARE OF i
    ), incident AS MATERIALIZED (
        SELECT i.id, i.number,
            array_position(ARRAY['critical', 'high', 'medium', 'low'], i.severity::text) - 1 AS rank,
            i.alert_entries >= told_entries AND i.last_alert_at >= quiet_since AS is_told,
            json_build_array(i.id, i.number, i.title, i.status, i.severity, i.service_id,
                (SELECT s.team_id FROM teams_service s WHERE s.id = i.service_id)) AS row
        FROM incidents_incident i
        WHERE i.id = ANY (ARRAY(SELECT id FROM held UNION SELECT incident FROM k WHERE alert IS NOT NULL))
    ), decided AS MATERIALIZED (
        SELECT k.place, k.e, k.alert, i.id AS incident, i.number, CASE
            WHEN k.rank < i.rank THEN NULL
            WHEN k.was = 'firing' THEN 'repeated'
            WHEN k.alert IS NULL AND held.status <> 'resolved' AND i.is_told THEN 'joined'
        END AS outcome
        FROM k
        LEFT JOIN held ON k.alert IS NULL AND held."group" = k."group"
        LEFT JOIN incident i ON i.id = coalesce(k.incident, held.id)
    ), agreed AS MATERIALIZED (
        SELECT count(*) = count(outcome) AND cardinality(integrations) = (
            SELECT count(*) FROM (
                SELECT FROM unnest(integrations, stamps) AS r(id, stamp)
                JOIN alerts_integration i ON i.id = r.id
                JOIN teams_service s ON s.id = i.service_id
                JOIN teams_team t ON t.id = s.team_id
                WHERE concat_ws('.', i.xmin, s.xmin, t.xmin) = r.stamp
                FOR KEY SHARE OF i
            ) AS remembered
        ) AS is_so, count(alert) AS repeated,
            json_agg(CASE WHEN outcome = 'joined' THEN number ELSE -number END ORDER BY place) AS numbers
        FROM decided
    ), inserted AS (
        -- Were one of them there by now, the violated constraint would end all this.
        INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key,
            is_current, status, title, severity, source, labels, metadata, count, first_fired_at, last_fired_at)
        SELECT (e->>0)::uuid, at, at, integration, incident, key,
            true, 'firing', e->>4, e->>5, e->>7, e->8, e->9, (e->>10)::bigint, at, at
        FROM (
            SELECT e, incident, integrations[(e->>1)::integer] AS integration, e->>3 AS key FROM decided
            WHERE outcome = 'joined' AND (SELECT is_so FROM agreed)
            ORDER BY integration, key
        ) AS new
        RETURNING 1
    ), updated AS (
        -- In the order of their ids, so that two batches cannot deadlock: the sorted rows come first in the join.
        UPDATE alerts_alert a
        SET title = d.e->>4, severity = d.e->>5, source = d.e->>7, labels = d.e->8, metadata = d.e->9,
            count = a.count + (d.e->>10)::bigint, last_fired_at = at, updated_at = at
        FROM (
            SELECT e, alert FROM decided
            WHERE outcome = 'repeated' AND (SELECT is_so FROM agreed)
                -- After all is inserted, as in intake: in another order the two could deadlock.
                AND (SELECT count(*) FROM inserted) IS NOT NULL
            ORDER BY alert
        ) AS d
        WHERE a.id = d.alert AND (a.is_current AND a.status = 'firing') IS TRUE  -- so that no partial index looks like another way
        RETURNING 1
    )
    SELECT json_build_array(agreed.numbers, (SELECT json_agg(row) FROM incident))::text
    INTO told
    FROM agreed
    WHERE is_so AND (repeated = (SELECT count(*) FROM updated) OR alerts_start_over() = 0);
    RETURN told;
END
$$;
"""
DROP = "DROP FUNCTION alerts_take_known(jsonb, uuid[], text[], jsonb, timestamptz, timestamptz, integer);"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0022_heartbeats_by_mail")]
    operations = [migrations.RunSQL(CREATE, DROP)]
