"""What people fill in about heartbeats."""

from typing import Any

from django import forms

from teams.access import teams_to_manage
from teams.models import Service, User

from .models import Heartbeat


class HeartbeatForm(forms.ModelForm):
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
            "is_enabled",
        ]
        labels = {
            "interval": "Pings every",
            "interval_unit": "Minutes, hours or days",
            "cron": "Or when cron says",
            "time_zone": "Time zone of cron",
            "grace_minutes": "Grace, in minutes",
            "alert_message": "The alert’s title",
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
