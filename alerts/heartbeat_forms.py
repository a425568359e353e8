"""What people fill in about heartbeats."""

from typing import Any

from django import forms

from teams.access import teams_to_manage
from teams.models import Service, User

from .forms import LinesField
from .models import Heartbeat
from .models.heartbeat import LONGEST_WORD, MOST_WORDS


def words_field(label: str, help_text: str = "") -> LinesField:
    return LinesField(most=MOST_WORDS, longest=LONGEST_WORD, required=False, label=label, help_text=help_text)


class HeartbeatForm(forms.ModelForm):
    fail_words = words_field(
        "By mail: words that mean it failed",
        "One in each line, like “failed”. They are looked for in the subject, and if there are none of all these "
        "there, in the text.",
    )
    success_words = words_field("By mail: words that mean it is done")
    start_words = words_field("By mail: words that mean it begins")

    class Meta:
        model = Heartbeat
        fields = [
            "name",
            "interval",
            "interval_unit",
            "cron",
            "time_zone",
            "grace_minutes",
            "severity",
            "alert_message",
            "fail_words",
            "success_words",
            "start_words",
            "mail_means",
            "is_enabled",
        ]
        labels = {
            "interval": "Pings every",
            "interval_unit": "Minutes, hours or days",
            "cron": "Or when cron says",
            "time_zone": "Time zone of cron",
            "grace_minutes": "Grace, in minutes",
            "alert_message": "The alert’s title",
            "mail_means": "A mail without such words means",
            "is_enabled": "It is watched",
        }
        help_texts = {"name": "Like “Nightly backup of db1”."}


class NewHeartbeatForm(HeartbeatForm):
    service = forms.ModelChoiceField(Service.objects.none(), label="Service", empty_label="Choose a service")
    field_order = ["name", "service"]

    def __init__(self, data: Any = None, *, asker: User, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["service"].queryset = (
            Service.objects.filter(team__in=teams_to_manage(asker)).select_related("team").order_by("name")
        )
        self.fields["time_zone"].initial = asker.time_zone
