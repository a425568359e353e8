"""What people fill in about themselves and about who is on call."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from openalert.zones import time_zones

from .enums import Correlation
from .models import LONGEST_WINDOW_MINUTES, USUAL_WINDOW_MINUTES, Schedule, Service, User
from .queries import responders_of

LOCAL = "%Y-%m-%dT%H:%M"


class ZoneSelect(forms.Select):
    """Writes the names at once: there are six hundred, and Django renders a template for each."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            ((key, flatatt({"selected": key == (value or "")}), words) for key, words in self.choices),
        )
        return format_html(
            "<select{}>{}</select>",
            flatatt(self.build_attrs(self.attrs, {"name": name, **(attrs or {})})),
            options,
        )


def zone_field(**options: Any) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        choices=lambda: [*time_zones().items()], widget=ZoneSelect, **{"initial": "UTC", **options}
    )


def local_input() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL)


class OverrideForm(forms.Form):
    """Somebody takes a shift. The times are on the clock of the person who fills it in."""

    user = forms.ModelChoiceField(User.objects.none(), label="Who is on call", empty_label=None)
    starts_at = forms.DateTimeField(widget=local_input(), label="From")
    ends_at = forms.DateTimeField(widget=local_input(), label="Until")

    def __init__(self, data: Any = None, *, schedule: Schedule, asker: User, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["user"].queryset = responders_of(schedule.team)
        # Help texts are HTML.
        zone = format_html("Your time, {}.", asker.time_zone)
        if asker.time_zone != schedule.time_zone:
            zone += format_html(" The schedule’s is {}.", schedule.time_zone)
        self.fields["starts_at"].help_text = zone
        self.fields["ends_at"].help_text = zone


class DependencySettingForm(forms.Form):
    """What follows from a dependency."""

    correlation = forms.ChoiceField(
        choices=Correlation.choices,
        label="While it has an incident",
        initial=Correlation.SUGGEST,
        help_text="Alerts that are put into the upstream incident page its people, not yours; for this you have to "
        "be a responder of both teams.",
    )
    window_minutes = forms.IntegerField(
        min_value=1,
        max_value=LONGEST_WINDOW_MINUTES,
        initial=USUAL_WINDOW_MINUTES,
        label="Minutes",
        help_text="The upstream incident counts for so long after its last alert.",
    )


class DependencyForm(DependencySettingForm):
    """What a service depends on."""

    upstream = forms.ModelChoiceField(
        Service.objects.none(), label="Depends on", empty_label="Choose a service"
    )
    field_order = ["upstream"]

    def __init__(self, data: Any = None, *, service: Service, asker: User) -> None:
        super().__init__(data)
        self.fields["upstream"].queryset = (
            Service.objects.visible_to(asker).exclude(pk=service.pk).exclude(dependents__service=service)
        )


class ProfileForm(forms.ModelForm):
    """What people say of themselves. The address they sign in with is an administrator's to change."""

    time_zone = zone_field(help_text="Times are shown, and the times that you give are read, on this clock.")

    class Meta:
        model = User
        fields = ("name", "job_title", "phone", "time_zone")
        help_texts = {"phone": "With the country code, like +15005550006."}
