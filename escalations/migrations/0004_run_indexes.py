from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # escalations go on while the indexes are made

    dependencies = [("escalations", "0003_seconds_and_lanes")]

    operations = [
        AddIndexConcurrently(
            model_name="escalationrun",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="run_due_at"
            ),
        ),
        AddIndexConcurrently(
            model_name="escalationrun",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["lane", "priority", "due_at"],
                name="run_in_lane",
            ),
        ),
        AddIndexConcurrently(
            model_name="escalationrun",
            index=models.Index(
                condition=models.Q(("resumes_at__isnull", False)), fields=["resumes_at"], name="run_to_resume"
            ),
        ),
        RemoveIndexConcurrently(model_name="escalationrun", name="run_due"),
        migrations.RemoveField(model_name="escalationstep", name="delay_minutes"),
    ]
