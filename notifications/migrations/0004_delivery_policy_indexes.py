from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # pages go on being sent while the indexes are made

    dependencies = [("notifications", "0003_delivery_policy")]

    operations = [
        AddIndexConcurrently(
            model_name="deliveryattempt",
            index=models.Index(fields=["method_id", "started_at"], name="attempt_by_method"),
        ),
        AddIndexConcurrently(
            model_name="deliveryattempt",
            index=models.Index(fields=["account", "started_at"], name="attempt_by_account"),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("status__in", ("pending", "sending"))),
                fields=["contact_method", "due_at"],
                name="notification_waiting_by_method",
            ),
        ),
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("needs_fallback", True)),
                fields=["updated_at"],
                name="notification_to_fall_back",
            ),
        ),
    ]
