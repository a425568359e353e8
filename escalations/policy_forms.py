"""What people fill in about a policy: itself, and its steps, of which there may be any number."""

from collections.abc import Mapping
from typing import Any

from django import forms

from openalert.base import BaseModel
from teams.models import Schedule, Team
from teams.queries import responders_of

from .enums import TargetKind
from .models import EscalationPolicy, StepTarget
from .policies import NewStep, NewTarget

MOST_STEPS = 20
MOST_TARGETS = 20
USUAL_MINUTES = 5

# By the word that a form calls it: the kind and the row, and what people read.
Choices = dict[str, tuple[str, NewTarget]]


class PolicyForm(forms.ModelForm):
    class Meta:
        model = EscalationPolicy
        fields = ("name", "description", "repeat_count", "acknowledge_timeout_minutes")
        labels = {
            "repeat_count": "Start over, times",
            "acknowledge_timeout_minutes": "Acknowledgements last, minutes",
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        others = EscalationPolicy.objects.filter(team=self.instance.team_id).exclude(pk=self.instance.pk)
        if others.filter(name__iexact=name).exists():
            raise forms.ValidationError("The team has a policy of this name already.")
        return name


def choices_for(team: Team, policy: EscalationPolicy | None) -> dict[str, Choices]:
    """Whom a step of the team's policy may page, by group; what the policy pages already is among them."""
    schedules = list(Schedule.objects.filter(team=team))
    groups: dict[str, Choices] = {
        "On call": _choices(TargetKind.SCHEDULE, schedules),
        "In turn, one each time": _choices(TargetKind.ROUND_ROBIN, schedules),
        "People": _choices(TargetKind.USER, responders_of(team)),
        "Team": {
            **_choices(TargetKind.TEAM, [team], "Everybody in {}"),
            **_choices(TargetKind.MANAGER, [team], "Managers of {}"),
        },
    }
    known = {word for group in groups.values() for word in group}
    rows = StepTarget.objects.filter(step__policy=policy) if policy else StepTarget.objects.none()
    others = {
        word_of(row): (str(row), NewTarget(TargetKind(row.kind), row.target))
        for row in rows.select_related("user", "schedule", "team")
        if row.target and word_of(row) not in known
    }
    return {name: choices for name, choices in {**groups, "Others": others}.items() if choices}


def _choices(kind: TargetKind, rows: Any, words: str = "{}") -> Choices:
    return {f"{kind}:{row.pk}": (words.format(row), NewTarget(kind, row)) for row in rows}


def word_of(target: StepTarget) -> str:
    row: BaseModel | None = target.target
    return f"{target.kind}:{row.pk if row else ''}"


class StepForm(forms.Form):
    """One step; its fields are prefixed by its place."""

    targets = forms.MultipleChoiceField(
        label="Page", error_messages={"required": "Say whom to page."}, widget=forms.CheckboxSelectMultiple
    )
    minutes = forms.IntegerField(min_value=0, max_value=1440, required=False, label="Wait, minutes")
    seconds = forms.IntegerField(min_value=0, max_value=59, required=False, label="and seconds")

    def __init__(self, data: Any = None, *, groups: dict[str, Choices], **options: Any) -> None:
        super().__init__(data, **options)
        self._choices = {word: target for group in groups.values() for word, (_, target) in group.items()}
        self.fields["targets"].choices = [
            (name, [(word, words) for word, (words, _) in group.items()]) for name, group in groups.items()
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if len(cleaned.get("targets", ())) > MOST_TARGETS:
            self.add_error("targets", f"A step can page at most {MOST_TARGETS} targets.")
        if (cleaned.get("minutes") or 0) == 1440 and cleaned.get("seconds"):
            self.add_error("minutes", "A step waits at most a day.")
        return cleaned

    @property
    def step(self) -> NewStep:
        """For a valid form."""
        given = self.cleaned_data
        seconds = (given["minutes"] or 0) * 60 + (given["seconds"] or 0)
        return NewStep(seconds, [self._choices[word] for word in given["targets"]])


def steps_of(policy: EscalationPolicy | None) -> list[dict[str, Any]]:
    """The values of the forms for a policy's steps; for a new policy, one step."""
    if policy is None:
        return [{"targets": [], "minutes": USUAL_MINUTES, "seconds": 0}]
    return [
        {
            "targets": [word_of(row) for row in step.targets.all()],
            "minutes": step.delay_seconds // 60,
            "seconds": step.delay_seconds % 60,
        }
        for step in policy.steps.all()
    ]


def posted_steps(data: Any) -> list[dict[str, Any]]:
    """The values that were posted, by `steps` in number; nothing of them is checked."""
    count = data.get("steps", "")
    number = int(count) if count.isascii() and count.isdecimal() and len(count) < 4 else 0
    return [
        {
            "targets": data.getlist(f"{place}-targets"),
            "minutes": data.get(f"{place}-minutes", ""),
            "seconds": data.get(f"{place}-seconds", ""),
        }
        for place in range(min(number, MOST_STEPS))
    ]


def rearranged(steps: list[dict[str, Any]], wish: str) -> list[dict[str, Any]]:
    """The steps after “add”, “remove-1”, “up-1” or “down-1”; any other wish, or one beyond the ends, changes nothing."""
    steps = list(steps)
    if wish == "add" and len(steps) < MOST_STEPS:
        return [*steps, {"targets": [], "minutes": USUAL_MINUTES, "seconds": 0}]
    what, _, number = wish.partition("-")
    place = int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else len(steps)
    if place >= len(steps):
        return steps
    if what == "remove":
        del steps[place]
    elif what in ("up", "down"):
        other = place + (1 if what == "down" else -1)
        if 0 <= other < len(steps):
            steps[place], steps[other] = steps[other], steps[place]
    return steps


def forms_for(steps: list[dict[str, Any]], groups: dict[str, Choices], *, is_bound: bool) -> list[StepForm]:
    """A form for each step: `is_bound` checks what it has."""
    if not is_bound:
        return [
            StepForm(groups=groups, initial=values, prefix=str(place)) for place, values in enumerate(steps)
        ]
    return [
        StepForm(_Posted(place, values), groups=groups, prefix=str(place))
        for place, values in enumerate(steps)
    ]


class _Posted(dict):
    """A step's values as a form reads them."""

    def __init__(self, place: int, values: Mapping[str, Any]) -> None:
        super().__init__({f"{place}-{name}": value for name, value in values.items()})

    def getlist(self, name: str) -> list[str]:
        value = self.get(name, [])
        return value if isinstance(value, list) else [value]
