"""What is asked at each step: of what there is, as it is; each saves by the calls that the apps' own pages use."""

from datetime import time
from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from alerts import integrations
from alerts.enums import Source
from alerts.forms import IntegrationForm
from escalations import policies, team_settings
from escalations.enums import TargetKind
from escalations.models import EscalationPolicy
from escalations.policies import NewStep
from escalations.policy_forms import Choices, choices_for, word_of
from teams import invitations, rotations
from teams.enums import Role, Rotation
from teams.forms import zone_field
from teams.models import E164, Layer, Membership, Schedule, Service, Team, User
from teams.roster import DAY_NAMES
from teams.schedule_forms import time_input

from .progress import Progress

LAYER = "Weekly rotation"
USUAL_MINUTES = 5
MOST_MINUTES = 1440


class TeamForm(forms.ModelForm):
    time_zone = zone_field(help_text="For hand-overs, working hours and reports.")
    is_member = forms.BooleanField(
        required=False,
        initial=True,
        label="I am one of the team",
        help_text="As its manager, who is on call too.",
    )

    class Meta:
        model = Team
        fields = ("name", "time_zone")

    def __init__(self, data: Any = None, *, progress: Progress, user: User) -> None:
        super().__init__(
            data, instance=progress.team, initial={} if progress.team else {"time_zone": user.time_zone}
        )
        self.user = user
        if progress.team and any(member.user_id == user.pk for member in progress.members):
            del self.fields["is_member"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Team.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise ValidationError("There is a team of this name already.")
        return name

    @transaction.atomic
    def write(self) -> None:
        team = self.save()
        if self.cleaned_data.get("is_member"):
            Membership.objects.get_or_create(team=team, user=self.user, defaults={"role": Role.MANAGER})


class PersonForm(forms.Form):
    """Somebody new, or somebody who has an account already, becomes a member of the team."""

    name = forms.CharField(max_length=120)
    email = forms.EmailField(max_length=254, label="Email address")
    phone = forms.CharField(
        max_length=16,
        required=False,
        validators=[E164],
        help_text="With the country code, like +15005550006.",
    )
    role = forms.ChoiceField(
        choices=Role.choices,
        initial=Role.RESPONDER,
        help_text="Responders and managers can be on call; observers see.",
    )
    password = forms.CharField(
        required=False,
        strip=False,
        label="A password to begin with",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, data: Any = None, *, progress: Progress, is_local: bool, provider_name: str) -> None:
        super().__init__(data)
        self.progress = progress
        if not is_local:
            del self.fields["password"]
        elif provider_name:
            self.fields["password"].help_text = f"Leave it empty for who signs in with {provider_name}."
        else:
            self.fields[
                "password"
            ].help_text = (
                "Leave it empty, and they are mailed a link to choose one. If you give one, tell it to them."
            )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        self.user = User.objects.filter(email__iexact=given.get("email", "")).first()
        if self.user is None and given.get("password"):
            person = User(name=given.get("name", ""), email=given.get("email", ""))
            try:
                password_validation.validate_password(given["password"], person)
            except ValidationError as failure:
                self.add_error("password", failure)
        if self.user is None:
            return given
        if self.user.is_service_account:
            self.add_error("email", "This is the address of a team's token, and nobody's.")
        elif any(member.user_id == self.user.pk for member in self.progress.members):
            self.add_error("email", f"{self.user} is in the team already.")
        elif given.get("password"):
            self.add_error("password", f"{self.user} has an account with this address: leave this empty.")
        return given

    @transaction.atomic
    def write(self) -> None:
        """Raises ValidationError when somebody else was quicker with the address."""
        given, team = self.cleaned_data, self.progress.team
        assert team is not None
        user = self.user or User.objects.create_user(
            given["email"],
            given.get("password") or None,
            name=given["name"],
            phone=given["phone"],
            time_zone=team.time_zone,
        )
        Membership.objects.get_or_create(team=team, user=user, defaults={"role": given["role"]})
        if self.user is None:
            invitations.invite([user])


def simple_layer(progress: Progress) -> Layer | None:
    """The only layer of the schedule, when it is as this form makes it: weeks, one after the other."""
    if len(progress.layers) != 1:
        return None
    [layer] = progress.layers
    is_plain = layer.rotation == Rotation.WEEKLY and layer.turn_length == 1 and layer.is_always_open
    return layer if is_plain and not layer.calendar_id and not layer.ends_at else None


class ScheduleForm(forms.Form):
    """Weeks in turn. Those who have the same turn are on call together."""

    name = forms.CharField(max_length=120)
    hand_over_day = forms.TypedChoiceField(
        coerce=int, choices=list(enumerate(DAY_NAMES, 1)), initial=1, label="Hand-over on"
    )
    hand_over_time = forms.TimeField(widget=time_input(), initial=time(9), label="at")
    time_zone = zone_field(label="On the clock of")

    def __init__(self, data: Any = None, *, progress: Progress) -> None:
        self.progress = progress
        team, schedule, layer = progress.team, progress.schedule, simple_layer(progress)
        assert team is not None
        initial: dict[str, Any] = {"name": f"{team}, on call"[:120], "time_zone": team.time_zone}
        if schedule:
            initial |= {"name": schedule.name, "time_zone": schedule.time_zone}
        turns = {user.pk: number for number, user in enumerate(progress.responders, 1)}
        if layer:
            initial |= {
                name: value
                for name in ("hand_over_day", "hand_over_time")
                if (value := getattr(layer, name)) is not None
            }
            turns = {user.pk: number for number, place in enumerate(layer.places, 1) for user in place}
        super().__init__(data, initial=initial)
        self.people = progress.responders
        numbers = [("", "not on call"), *((str(n), f"turn {n}") for n in range(1, len(self.people) + 1))]
        for user in self.people:
            self.fields[f"turn_{user.pk}"] = forms.ChoiceField(
                required=False, choices=numbers, label=str(user), initial=str(turns.get(user.pk, ""))
            )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        schedule, team = self.progress.schedule, self.progress.team
        others = Schedule.objects.filter(team=team).exclude(pk=schedule.pk if schedule else None)
        if others.filter(name__iexact=name).exists():
            raise ValidationError("The team has a schedule of this name already.")
        return name

    @property
    def turns(self) -> list[forms.BoundField]:
        return [self[f"turn_{user.pk}"] for user in self.people]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        places: dict[int, list[User]] = {}
        for user in self.people:
            if turn := given.get(f"turn_{user.pk}"):
                places.setdefault(int(turn), []).append(user)
        self.participants = [places[turn] for turn in sorted(places)]
        if not places and not self.errors:
            raise ValidationError("Give at least one person a turn.")
        return given

    @transaction.atomic
    def write(self) -> None:
        """Whoever is on call stays so until the next hand-over. Raises ValidationError, OpenAlertError."""
        given, schedule, team = self.cleaned_data, self.progress.schedule, self.progress.team
        assert team is not None
        values = {
            "rotation": Rotation.WEEKLY,
            "hand_over_day": given["hand_over_day"],
            "hand_over_time": given["hand_over_time"],
            "participants": self.participants,
        }
        named = {"name": given["name"], "time_zone": given["time_zone"]}
        now = timezone.now().replace(second=0, microsecond=0)
        if schedule is None:
            layer = {"name": LAYER, "starts_at": now, **values}
            rotations.create_schedule(team=team, layers=[layer], **named)
            return
        rotations.change_schedule(schedule_id=schedule.pk, **named)
        if not self.progress.layers:
            rotations.add_layer(schedule_id=schedule.pk, name=LAYER, starts_at=now, **values)
        elif layer := Layer.objects.filter(schedule=schedule, replaced_at=None).first():
            rotations.change_layer(layer_id=layer.pk, keep_turn=True, **values)


def is_simple_policy(policy: EscalationPolicy) -> bool:
    """Whether the form can show all of it: at most two steps of one target each, and whole minutes."""
    steps = list(policy.steps.all())
    return len(steps) <= 2 and all(len(s.targets.all()) <= 1 and s.delay_seconds % 60 == 0 for s in steps)


class PolicyForm(forms.Form):
    name = forms.CharField(max_length=120)
    first = forms.ChoiceField(label="Page first")
    minutes = forms.IntegerField(
        min_value=1, max_value=MOST_MINUTES, initial=USUAL_MINUTES, label="When nobody answers for, minutes"
    )
    then = forms.ChoiceField(required=False, label="Page then")
    repeat_count = forms.IntegerField(
        min_value=0,
        max_value=20,
        initial=1,
        label="And start over, times",
        help_text="While nobody acknowledges.",
    )

    def __init__(self, data: Any = None, *, progress: Progress) -> None:
        team, policy = progress.team, progress.policy
        assert team is not None
        self.progress = progress
        groups = choices_for(team, policy)
        self._targets = {word: target for group in groups.values() for word, (_, target) in group.items()}
        super().__init__(data, initial=self._initial(groups))
        choices = [
            (name, [(word, words) for word, (words, _) in group.items()]) for name, group in groups.items()
        ]
        self.fields["first"].choices = choices
        self.fields["then"].choices = [("", "Nobody else"), *choices]

    def _initial(self, groups: dict[str, Choices]) -> dict[str, Any]:
        team, policy, schedule = self.progress.team, self.progress.policy, self.progress.schedule
        assert team is not None
        if policy is None:
            everybody = f"{TargetKind.TEAM}:{team.pk}"
            return {
                "name": f"{team}"[:120],
                "first": f"{TargetKind.SCHEDULE}:{schedule.pk}" if schedule else everybody,
                "then": everybody,
            }
        steps = sorted(policy.steps.all(), key=lambda step: step.position)
        words = [word_of(target) for step in steps for target in step.targets.all()]
        return {
            "name": policy.name,
            "first": words[0] if words else None,
            "then": words[1] if len(words) > 1 else "",
            "minutes": max(1, steps[0].delay_seconds // 60) if steps else USUAL_MINUTES,
            "repeat_count": policy.repeat_count,
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        policy, team = self.progress.policy, self.progress.team
        others = EscalationPolicy.objects.filter(team=team).exclude(pk=policy.pk if policy else None)
        if others.filter(name__iexact=name).exists():
            raise ValidationError("The team has a policy of this name already.")
        return name

    @transaction.atomic
    def write(self) -> None:
        """And where no policy is in charge of the team's incidents yet, this one is from now on."""
        given, team = self.cleaned_data, self.progress.team
        assert team is not None
        policy = self.progress.policy or EscalationPolicy(team=team)
        policy.name, policy.repeat_count = given["name"], given["repeat_count"]
        seconds = given["minutes"] * 60
        words = [word for word in (given["first"], given["then"]) if word]
        policies.save_policy(policy, steps=[NewStep(seconds, [self._targets[word]]) for word in words])
        if not self.progress.is_policy_in_charge:
            settings = team_settings.of_team(team)
            settings.default_policy = policy
            team_settings.write(settings)


class ServiceForm(forms.ModelForm):
    runbook_url = forms.URLField(
        max_length=500,
        required=False,
        assume_scheme="https",
        label="Runbook",
        help_text="The address of a page that says what to do.",
    )

    class Meta:
        model = Service
        fields = ("name", "description", "runbook_url")
        help_texts = {"name": "What alerts are about, like “Checkout” or “Databases”."}
        widgets = {"description": forms.TextInput()}

    def __init__(self, data: Any = None, *, progress: Progress) -> None:
        assert progress.team is not None
        super().__init__(data, instance=progress.service or Service(team=progress.team))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = Service.objects.filter(team=self.instance.team_id).exclude(pk=self.instance.pk)
        if others.filter(name__iexact=name).exists():
            raise ValidationError("The team has a service of this name already.")
        return name

    def write(self) -> None:
        self.save()


class FirstIntegrationForm(IntegrationForm):
    """All else is as usual, and changed on the integration's own page."""

    grouping_labels = None  # type: ignore[assignment]

    class Meta(IntegrationForm.Meta):
        fields = ("name", "source")  # type: ignore[assignment]

    def __init__(self, data: Any = None, *, progress: Progress) -> None:
        assert progress.service is not None
        super().__init__(data, service=progress.service)
        self.fields["name"].initial = "Monitoring"
        self.fields["source"].initial = Source.OPENALERT
        self.key = ""

    def write(self) -> None:
        """Its key is known only now."""
        self.key = integrations.create_integration(self.instance)
