import django.contrib.postgres.fields
import django.db.models.constraints
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import openalert.ids

# Whoever changes a rule, or a service that rules send alerts to, and however: the integration's row is written anew,
# so that its stamp (alerts.keys) changes and no process goes on with what it remembers.
TOUCH = """
CREATE FUNCTION alerts_rule_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alerts_integration SET is_enabled = is_enabled
    WHERE id IN (SELECT integration_id FROM changed);
    RETURN NULL;
END
$$;
CREATE TRIGGER rules_added AFTER INSERT ON alerts_integrationrule
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION alerts_rule_changed();
CREATE TRIGGER rules_edited AFTER UPDATE ON alerts_integrationrule
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION alerts_rule_changed();
CREATE TRIGGER rules_removed AFTER DELETE ON alerts_integrationrule
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION alerts_rule_changed();
CREATE FUNCTION alerts_rule_target_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alerts_integration SET is_enabled = is_enabled
    WHERE id IN (SELECT integration_id FROM alerts_integrationrule WHERE to_service_id = NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER target_of_rules_edited AFTER UPDATE ON teams_service
    FOR EACH ROW EXECUTE FUNCTION alerts_rule_target_changed();
"""
UNTOUCH = """
DROP TRIGGER target_of_rules_edited ON teams_service;
DROP FUNCTION alerts_rule_target_changed();
DROP TRIGGER rules_added ON alerts_integrationrule;
DROP TRIGGER rules_edited ON alerts_integrationrule;
DROP TRIGGER rules_removed ON alerts_integrationrule;
DROP FUNCTION alerts_rule_changed();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0007_flapping"),
        ("teams", "0002_service_dependencies"),
    ]

    operations = [
        migrations.CreateModel(
            name="HeldAlert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=openalert.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("dedup_key", models.CharField(max_length=512)),
                ("event", models.JSONField()),
                ("grouping", models.TextField(blank=True, null=True)),
                ("wait", models.DurationField(blank=True, null=True)),
                ("times", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("within", models.DurationField(blank=True, null=True)),
                (
                    "count",
                    models.PositiveBigIntegerField(default=1, help_text="How often it was sent as firing."),
                ),
                (
                    "fired_at",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(),
                        default=list,
                        help_text="The last times, as many as count.",
                        size=None,
                    ),
                ),
                ("firing_since", models.DateTimeField(blank=True, null=True)),
                ("last_fired_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="held_alerts",
                        to="alerts.integration",
                    ),
                ),
                (
                    "to_service",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="teams.service",
                    ),
                ),
            ],
            options={
                "ordering": ["-last_fired_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("due_at__isnull", False)),
                        fields=["due_at"],
                        name="held_alert_due",
                    ),
                    models.Index(
                        condition=models.Q(("expires_at__isnull", False)),
                        fields=["expires_at"],
                        name="held_alert_expiring",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("integration", "dedup_key"), name="held_alert_once_per_dedup_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("due_at__isnull", False), ("expires_at__isnull", True)),
                            models.Q(("due_at__isnull", True), ("expires_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="held_alert_is_due_or_expires",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IntegrationRule",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=openalert.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("name", models.CharField(max_length=120)),
                ("is_enabled", models.BooleanField(default=True, help_text="Off: the rule is passed over.")),
                (
                    "conditions",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="All of them must hold; without any, the rule is for every alert.",
                    ),
                ),
                ("actions", models.JSONField(default=list)),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rules",
                        to="alerts.integration",
                    ),
                ),
                (
                    "to_service",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="+",
                        to="teams.service",
                    ),
                ),
            ],
            options={
                "ordering": ["integration", "position"],
                "constraints": [
                    models.UniqueConstraint(
                        deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                        fields=("integration", "position"),
                        name="integration_rule_position_unique",
                    )
                ],
            },
        ),
        migrations.RunSQL(TOUCH, UNTOUCH),
    ]
