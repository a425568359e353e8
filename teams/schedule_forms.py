"""What people fill in about schedules and their layers."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.formsets import BaseFormSet

from .calendars import check_calendar_url
from .enums import OnHolidays, Rotation
from .forms import local_input, zone_field
from .models import Layer, Schedule, Team, User
from .queries import responders_of
from .roster import DAY_NAMES
from .windows import check_holidays_of

BLANK_PLACES = 4
LEAST_PLACES = 6
BLANK_WINDOWS = 2
DAYS = {
    "every": ("every day", None),
    "weekdays": ("Mondays to Fridays", [1, 2, 3, 4, 5]),
    "weekend": ("Saturdays and Sundays", [6, 7]),
    **{str(number): (f"{name}s", [number]) for number, name in enumerate(DAY_NAMES, 1)},
}
SAME = ""
UNTIL = [(SAME, "the next such time"), *((str(number), name) for number, name in enumerate(DAY_NAMES, 1))]


def time_input() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class ScheduleForm(forms.Form):
    name = forms.CharField(max_length=120)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    time_zone = zone_field(
        help_text="Hand-overs and restrictions are on this clock. Changing it moves those to come, not the past.",
    )


class NewScheduleForm(ScheduleForm):
    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None)
    field_order = ["team"]

    def __init__(self, data: Any = None, *, teams: QuerySet[Team], **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["team"].queryset = teams


class EditScheduleForm(ScheduleForm):
    fallback = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        empty_label="Nobody",
        help_text="Who is on call whenever nobody else is.",
    )

    def __init__(self, data: Any = None, *, schedule: Schedule, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["fallback"].queryset = responders_of(schedule.team)


def keep_turn_field() -> forms.BooleanField:
    return forms.BooleanField(
        required=False,
        initial=True,
        label="Whoever is on call stays until the next hand-over",
        help_text="Otherwise turns are counted from the start anew.",
    )


class LayerForm(forms.Form):
    """A layer without its people and restrictions. The times of start and end are on the clock of the person who fills
    it in, hand-overs on the schedule's."""

    name = forms.CharField(max_length=120, initial="Rotation")
    turn_length = forms.IntegerField(min_value=1, max_value=30_000, initial=1, label="A turn lasts")
    rotation = forms.ChoiceField(choices=Rotation.choices, initial=Rotation.WEEKLY, label="Counted in")
    hand_over_day = forms.IntegerField(
        min_value=1,
        max_value=31,
        required=False,
        label="Hand-over on day",
        help_text="Weeks: 1 is Monday, 7 Sunday. Months: the day, or the last one of a shorter month. Without one: the start's.",
    )
    hand_over_time = forms.TimeField(
        required=False, widget=time_input(), label="Hand-over at", help_text="Without a time: the start's."
    )
    starts_at = forms.DateTimeField(widget=local_input(), label="Starts", help_text="With turn 1.")
    ends_at = forms.DateTimeField(widget=local_input(), required=False, label="Ends")
    holidays_of = forms.CharField(
        max_length=12,
        required=False,
        validators=[check_holidays_of],
        label="Public holidays of",
        help_text="A country like DE, or a part of it like DE-BY.",
    )
    on_holidays = forms.ChoiceField(
        choices=OnHolidays.choices, initial=OnHolidays.SAME, label="On those days the layer is"
    )
    calendar_url = forms.CharField(
        max_length=1000,
        required=False,
        validators=[check_calendar_url],
        label="Calendar address",
        help_text="Instead of turns: a calendar (iCal) whose events name people of the team, as attendees or in the title.",
    )
    keep_turn = keep_turn_field()

    def __init__(self, data: Any = None, *, layer: Layer | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        if layer is None:
            del self.fields["keep_turn"]


class PlaceForm(forms.Form):
    place = forms.IntegerField(min_value=1, max_value=100, required=False, label="Turn")
    user = forms.ModelChoiceField(User.objects.none(), required=False, empty_label="–", label="Person")


class BasePlaceFormSet(BaseFormSet):
    """Who takes turns in a layer, a row for each person."""

    @property
    def participants(self) -> list[list[User]]:
        """Of valid forms, as teams.rotations takes them."""
        turns: dict[int, list[User]] = {}
        last = 0
        for form in self.forms:
            if user := form.cleaned_data.get("user"):
                last = form.cleaned_data.get("place") or last + 1
                turns.setdefault(last, []).append(user)
        return [turns[number] for number in sorted(turns)]


def place_forms(data: Any, *, schedule: Schedule, layer: Layer | None) -> BasePlaceFormSet:
    """The responders of the schedule's team may be chosen, and whoever takes turns already."""
    people = responders_of(schedule.team)
    if layer:
        people = people | User.objects.filter(participations__layer=layer)
    people = people.distinct()
    places = _places(layer)
    blank = max(BLANK_PLACES, LEAST_PLACES - len(places))
    made: type[BasePlaceFormSet] = forms.formset_factory(
        PlaceForm, formset=BasePlaceFormSet, extra=blank, max_num=200
    )
    found = made(data, prefix="places", initial=places)
    choices = [("", "–"), *((str(user.pk), str(user)) for user in people)]
    for form in found:
        form.empty_permitted = False  # a row that says what it said before still says it
        form.fields["user"].queryset = people
        form.fields["user"].choices = choices  # read once, not for each row
    return found


class WindowForm(forms.Form):
    opens = forms.TimeField(required=False, widget=time_input(), label="From")
    days = forms.ChoiceField(
        choices=[(key, words) for key, (words, _) in DAYS.items()], required=False, label="On"
    )
    closes = forms.TimeField(required=False, widget=time_input(), label="To")
    until = forms.ChoiceField(choices=UNTIL, required=False, label="On")

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        opens, closes = given.get("opens"), given.get("closes")
        if (opens is None) != (closes is None) and not self.errors:
            raise ValidationError("Give both times, or none.")
        if given.get("until") and len(DAYS[given.get("days") or "every"][1] or []) != 1:
            self.add_error("days", "Choose one day for what ends on another.")
        return given


class LayerForms:
    """The three parts of the page of a layer, which are valid together."""

    def __init__(self, data: Any, *, schedule: Schedule, layer: Layer | None, starts_at: Any) -> None:
        self.layer = LayerForm(data, layer=layer, initial=_initial(layer) or {"starts_at": starts_at})
        self.places = place_forms(data, schedule=schedule, layer=layer)
        self.windows = forms.formset_factory(WindowForm, extra=BLANK_WINDOWS, max_num=60)(
            data, prefix="windows", initial=_windows(layer)
        )
        for form in self.windows:
            form.empty_permitted = False  # as among the places

    def is_valid(self) -> bool:
        return all([self.layer.is_valid(), self.places.is_valid(), self.windows.is_valid()])

    @property
    def values(self) -> dict[str, Any]:
        """As teams.rotations takes them; `keep_turn` is not among them."""
        given = {name: value for name, value in self.layer.cleaned_data.items() if name != "keep_turn"}
        return {
            **given,
            "participants": self.places.participants,
            "restrictions": self._restrictions(),
        }

    def _restrictions(self) -> list[dict[str, Any]]:
        return [window for form in self.windows if (window := _window(form.cleaned_data))]

    def add_errors(self, failure: ValidationError) -> None:
        """What the heart has against the values."""
        for field, messages in failure.message_dict.items():
            for message in messages:
                self.layer.add_error(field if field in self.layer.fields else None, message)


def _initial(layer: Layer | None) -> dict[str, Any]:
    if layer is None:
        return {}
    names = [name for name in LayerForm.base_fields if hasattr(layer, name)]
    url = layer.calendar.url if layer.calendar else ""
    return {**{name: getattr(layer, name) for name in names}, "calendar_url": url}


def _places(layer: Layer | None) -> list[dict[str, Any]]:
    places = layer.places if layer else []
    return [{"place": number, "user": user.pk} for number, place in enumerate(places, 1) for user in place]


def _windows(layer: Layer | None) -> list[dict[str, Any]]:
    rows = []
    for window in layer.restrictions if layer else []:
        times = {"opens": window["from"], "closes": window["to"]}
        if "from_day" in window:
            rows.append({**times, "days": str(window["from_day"]), "until": str(window["to_day"])})
            continue
        for days in _as_choices(window.get("days")):
            rows.append({**times, "days": days, "until": SAME})
    return rows


def _as_choices(days: Sequence[int] | None) -> list[str]:
    wanted = None if days is None or set(days) == set(range(1, 8)) else sorted(set(days))
    same = [key for key, (_, listed) in DAYS.items() if listed == wanted]
    return same or [str(day) for day in wanted or []]


def _window(given: dict[str, Any]) -> dict[str, Any] | None:
    if not given or given.get("opens") is None:
        return None
    window: dict[str, Any] = {"from": f"{given['opens']:%H:%M}", "to": f"{given['closes']:%H:%M}"}
    days = DAYS[given["days"] or "every"][1]
    if given.get("until"):
        return {**window, "from_day": (days or [1])[0], "to_day": int(given["until"])}
    return {**window, "days": days} if days else window


class SwapForm(forms.Form):
    """Somebody asks to be relieved of a shift. Times are on the clock of the person who asks."""

    starts_at = forms.DateTimeField(widget=local_input(), label="Your shift from")
    ends_at = forms.DateTimeField(widget=local_input(), label="until")
    asked = forms.ModelChoiceField(
        User.objects.none(),
        required=False,
        empty_label="Anybody of the team",
        label="Who takes it?",
        help_text="They are told, and accept or decline.",
    )
    return_starts_at = forms.DateTimeField(
        widget=local_input(), required=False, label="In return, theirs from"
    )
    return_ends_at = forms.DateTimeField(widget=local_input(), required=False, label="until")
    note = forms.CharField(max_length=500, required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(self, data: Any = None, *, schedule: Schedule, asker: User, **options: Any) -> None:
        super().__init__(data, **options)
        self.fields["asked"].queryset = responders_of(schedule.team).exclude(pk=asker.pk)


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=4000,
        label="For those who come next",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What goes on, and what they should keep an eye on.",
    )
