"""What people fill in about integrations."""

from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

from teams.models import Service

from .enums import Source
from .formats import FORMATS
from .models import Integration

MOST_LABELS = 20


class IntegrationForm(forms.ModelForm):
    """A new door into a service."""

    grouping_labels = SimpleArrayField(
        forms.CharField(max_length=128),
        required=False,
        max_length=MOST_LABELS,
        label="Labels to group by",
        help_text="Only for grouping by chosen labels: their names with commas between them, like cluster, alertname.",
    )

    class Meta:
        model = Integration
        fields = ("name", "source", "secret", "grouping", "grouping_labels", "grouping_window_minutes")
        labels = {
            "name": "Name",
            "source": "What sends the alerts",
            "secret": "Signing secret",
            "grouping": "Alerts become one incident",
            "grouping_window_minutes": "Window, in minutes",
        }
        help_texts = {
            "name": "How people recognise it on an incident, like “Prometheus eu-1”.",
            "secret": "For Grafana, GitHub, Sentry and others that sign what they send. Empty: the key alone counts.",
        }

    def __init__(self, data: Any = None, *, service: Service) -> None:
        super().__init__(data, instance=Integration(service=service))
        self.fields["source"].choices = [
            (value, label) for value, label in Source.choices if value in FORMATS
        ]

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        if self.instance.service.integrations.filter(name__iexact=name).exists():
            raise forms.ValidationError("The service has an integration of this name already.")
        return name
