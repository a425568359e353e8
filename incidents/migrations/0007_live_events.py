import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# incidents/live/log.py says what these are for. Whoever writes timeline entries, and however, tells the rooms too.
CREATE = """
CREATE FUNCTION incidents_tell_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents_liveevent (kind, entry_id, incident_id, data)
    SELECT kind, id, incident_id, '{}' FROM written ORDER BY id;
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_entries AFTER INSERT ON incidents_timelineentry
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION incidents_tell_entries();

-- One row. It is not logged on purpose: places are given without waiting for the disk, so a crash of the server may
-- lose some of them, and empties this table. What positions meant before is void then, and the new epoch says so.
CREATE UNLOGGED TABLE incidents_livehead (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    epoch text NOT NULL,
    position bigint NOT NULL,
    floor bigint NOT NULL
);

CREATE FUNCTION incidents_live_place(most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    head incidents_livehead;
    placed integer;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO head FROM incidents_livehead FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO incidents_livehead (epoch, position, floor)
        SELECT substr(md5(gen_random_uuid()::text), 1, 12), last, last
        FROM (SELECT coalesce(max(position), 0) AS last FROM incidents_liveevent) AS there
        ON CONFLICT DO NOTHING;
        SELECT * INTO STRICT head FROM incidents_livehead FOR UPDATE;
    END IF;
    -- A statement of its own, after the lock: it sees whatever had been committed when the lock was had.
    WITH fresh AS MATERIALIZED (
        SELECT e.id, e.incident_id, row_number() OVER (ORDER BY e.id) AS place,
            i.number, i.title, i.severity, i.status, i.service_id, s.team_id
        FROM (
            SELECT id, incident_id FROM incidents_liveevent WHERE position IS NULL ORDER BY id LIMIT most
        ) AS e
        LEFT JOIN incidents_incident i ON i.id = e.incident_id
        LEFT JOIN teams_service s ON s.id = i.service_id
    )
    UPDATE incidents_liveevent e
    SET position = head.position + fresh.place,
        service_id = fresh.service_id,
        team_id = coalesce(e.team_id, fresh.team_id),
        data = CASE WHEN fresh.number IS NULL THEN '{}' ELSE jsonb_build_object('incident_id', fresh.incident_id,
                'number', fresh.number, 'title', fresh.title, 'severity', fresh.severity, 'status', fresh.status) END
            || CASE WHEN e.entry_id IS NULL THEN '{}'
                ELSE jsonb_build_object('entry', e.entry_id, 'what', e.kind) END
            || e.data
    FROM fresh WHERE e.id = fresh.id;
    GET DIAGNOSTICS placed = ROW_COUNT;
    IF placed > 0 THEN
        UPDATE incidents_livehead SET position = head.position + placed;
    END IF;
    RETURN placed;
END
$$;

-- Tables that were restored from a dump are others, and so is their epoch.
CREATE FUNCTION incidents_live_at(OUT epoch text, OUT "position" bigint, OUT floor bigint)
RETURNS SETOF record LANGUAGE sql STABLE AS $$
    SELECT to_hex('incidents_livehead'::regclass::oid::bigint) || '.' || epoch, position, floor
    FROM incidents_livehead
$$;

CREATE FUNCTION incidents_live_read(known text, after bigint, most integer)
RETURNS TABLE (
    epoch text, head bigint, floor bigint, "position" bigint, kind text, entry_id bigint,
    incident text, service text, team text, "user" text, data text
)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM incidents_livehead)
        OR EXISTS (SELECT FROM incidents_liveevent WHERE position IS NULL)
    THEN
        PERFORM incidents_live_place(most);
    END IF;
    RETURN QUERY
    WITH h AS MATERIALIZED (SELECT epoch, position, floor FROM incidents_live_at())
    SELECT h.epoch, h.position, h.floor, e.position, e.kind::text, e.entry_id, e.incident_id::text,
        e.service_id::text, e.team_id::text, e.user_id::text, e.data::text
    FROM h LEFT JOIN LATERAL (
        SELECT * FROM incidents_liveevent e
        WHERE h.epoch = known AND e.position > after ORDER BY e.position LIMIT most
    ) AS e ON true
    ORDER BY e.position;
END
$$;

CREATE FUNCTION incidents_live_news(most integer)
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

CREATE FUNCTION incidents_live_prune(keep interval) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    last bigint;
    removed integer;
BEGIN
    WHILE incidents_live_place(10000) > 0 LOOP END LOOP;
    SELECT max(position) INTO last FROM incidents_liveevent WHERE at < now() - keep;
    DELETE FROM incidents_liveevent WHERE position <= last;
    GET DIAGNOSTICS removed = ROW_COUNT;
    UPDATE incidents_livehead SET floor = last WHERE floor < last;
    RETURN removed;
END
$$;
"""
DROP = """
DROP FUNCTION incidents_live_prune(interval);
DROP FUNCTION incidents_live_news(integer);
DROP FUNCTION incidents_live_read(text, bigint, integer);
DROP FUNCTION incidents_live_at();
DROP FUNCTION incidents_live_place(integer);
DROP TABLE incidents_livehead;
DROP TRIGGER tell_entries ON incidents_timelineentry;
DROP FUNCTION incidents_tell_entries();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("incidents", "0006_escalation_kinds"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ToldOnCall",
            fields=[
                ("schedule_id", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "people",
                    django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LiveEvent",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("position", models.BigIntegerField(editable=False, null=True)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "kind",
                    models.CharField(
                        help_text="Of the timeline entry, if there is one, or of the event.", max_length=64
                    ),
                ),
                ("entry_id", models.BigIntegerField(null=True)),
                ("incident_id", models.UUIDField(null=True)),
                ("service_id", models.UUIDField(null=True)),
                ("team_id", models.UUIDField(null=True)),
                ("user_id", models.UUIDField(null=True)),
                ("data", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("position__isnull", True)),
                        fields=["id"],
                        name="live_event_to_place",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("position__isnull", False)),
                        fields=("position",),
                        name="live_event_position_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DoneAction",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.UUIDField()),
                ("done_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["done_at"], name="action_by_time")],
                "constraints": [models.UniqueConstraint(fields=("user", "key"), name="action_done_once")],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
