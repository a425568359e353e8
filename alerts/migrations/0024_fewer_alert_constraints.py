from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0023_take_known_in_one_statement")]

    operations = [
        # The rows that are there are looked at by the next migration, which holds nobody up.
        AddConstraintNotValid(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("is_current", True), ("resolved_at__isnull", True), ("status", "firing")),
                    models.Q(("resolved_at__isnull", False), ("status", "resolved")),
                    _connector="OR",
                ),
                name="alert_firing_or_resolved",
            ),
        ),
        migrations.RemoveConstraint(model_name="alert", name="alert_status_known"),
        migrations.RemoveConstraint(model_name="alert", name="alert_resolved_at_iff_resolved"),
        migrations.RemoveConstraint(model_name="alert", name="alert_firing_is_current"),
        migrations.AlterField(
            model_name="alert",
            name="count",
            field=models.BigIntegerField(default=1, help_text="How often it was sent as firing."),
        ),
    ]
