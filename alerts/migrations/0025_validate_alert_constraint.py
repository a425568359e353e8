from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # alerts go on being taken while those that are there are read

    dependencies = [("alerts", "0024_fewer_alert_constraints")]

    operations = [ValidateConstraint(model_name="alert", name="alert_firing_or_resolved")]
