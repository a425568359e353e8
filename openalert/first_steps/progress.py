"""How far an installation is, read from what there is: whoever made it, here, in the admin or by the API."""

from dataclasses import dataclass
from functools import cached_property

from django.db.models import Q, QuerySet

from alerts.models import Alert, Integration
from escalations import routing, team_settings
from escalations.models import EscalationPolicy, RoutingRule
from incidents.enums import Severity
from incidents.models import Incident
from notifications.enums import NotificationStatus, Purpose
from notifications.models import Notification
from teams.models import Layer, Membership, Schedule, Service, Team, User
from teams.queries import responders_of, with_rotation
from teams.standing import is_admin

# The dedup key of the test alert: of two clicks at once, the second repeats the first.
TEST_KEY = "openalert-first-steps-test-page"
RECENT = 500


@dataclass(frozen=True)
class Step:
    """`needs` is the step that has to be done before this one can be."""

    name: str
    title: str
    needs: str = ""


STEPS = (
    Step("team", "Name the team"),
    Step("people", "Add its people", "team"),
    Step("schedule", "Say who is on call when", "team"),
    Step("policy", "Say whom to page, and then whom", "schedule"),
    Step("service", "Name what the team runs", "team"),
    Step("integration", "Connect what sends alerts", "service"),
    Step("test", "Send a test page", "integration"),
)
NAMES = tuple(step.name for step in STEPS)


class Progress:
    """What the guide is about: one team and what it owns. Each part is read when it is asked for, and once."""

    @cached_property
    def team(self) -> Team | None:
        """The one that is set up farthest, so that the guide of an installation with several tells of what works."""
        with_team: list[QuerySet] = [
            Integration.objects.order_by("created_at").values_list("service__team", flat=True),
            Service.objects.order_by("created_at").values_list("team", flat=True),
            EscalationPolicy.objects.order_by("created_at").values_list("team", flat=True),
            Schedule.objects.order_by("created_at").values_list("team", flat=True),
            Team.objects.order_by("created_at").values_list("pk", flat=True),
        ]
        for rows in with_team:
            if found := rows.first():
                return Team.objects.get(pk=found)
        return None

    @cached_property
    def members(self) -> list[Membership]:
        rows = Membership.objects.filter(team=self.team).select_related("user")
        return list(rows.order_by("user__name", "user__email"))

    @cached_property
    def responders(self) -> list[User]:
        return list(responders_of(self.team).order_by("name", "email")) if self.team else []

    @cached_property
    def schedule(self) -> Schedule | None:
        """The team's first with somebody in it; else its first."""
        taken = Q(participants__user__isnull=False) | Q(calendar__isnull=False)
        layers = Layer.objects.filter(taken, replaced_at=None, schedule__team=self.team)
        schedules = Schedule.objects.filter(team=self.team).order_by("created_at")
        found = schedules.filter(pk__in=layers.values("schedule")).first() or schedules.first()
        return with_rotation(Schedule.objects.filter(pk=found.pk)).get() if found else None

    @cached_property
    def layers(self) -> list[Layer]:
        return (
            [layer for layer in self.schedule.rows.layers if not layer.replaced_at] if self.schedule else []
        )

    @cached_property
    def policy(self) -> EscalationPolicy | None:
        """The one in charge of what the team runs; else its first."""
        if self.team is None:
            return None
        if self.service and (found := routing.policy_for(service=self.service, severity=Severity.CRITICAL)):
            return found
        if found := team_settings.of_team(self.team).default_policy:
            return routing.with_steps(EscalationPolicy.objects.filter(pk=found.pk)).get()
        rows = EscalationPolicy.objects.filter(team=self.team).order_by("created_at")
        return routing.with_steps(rows).first()

    @cached_property
    def is_policy_in_charge(self) -> bool:
        if self.policy is None:
            return False
        is_default = self.policy.default_of.exists()
        return is_default or RoutingRule.objects.filter(policy=self.policy).exists()

    @cached_property
    def service(self) -> Service | None:
        """The first that has an integration; else the first."""
        rows = Service.objects.filter(team=self.team).select_related("team").order_by("created_at")
        return rows.filter(integrations__isnull=False).first() or rows.first()

    @cached_property
    def integration(self) -> Integration | None:
        rows = Integration.objects.filter(service=self.service).select_related("service__team")
        return rows.order_by("created_at").first() if self.service else None

    @cached_property
    def test(self) -> Incident | None:
        """The incident of the last test page; once it is resolved, only while its alert is among the newest."""
        if self.integration is None:
            return None
        # The two that have an index: none is by dedup key alone.
        current = Alert.objects.filter(integration=self.integration, dedup_key=TEST_KEY, is_current=True)
        recent = Alert.objects.newest_of(self.integration).values_list("dedup_key", "incident")[:RECENT]
        newest = current.values_list("incident", flat=True).first() or next(
            (incident for key, incident in recent if key == TEST_KEY), None
        )
        return Incident.objects.select_related("service__team", "acknowledged_by").filter(pk=newest).first()

    @cached_property
    def done(self) -> dict[str, bool]:
        """By step. The people are taken for complete with two of them, or once a schedule is made of those there are."""
        has_turns = any(any(layer.places) or layer.calendar_id for layer in self.layers)
        has_targets = self.policy is not None and any(step.targets.all() for step in self.policy.steps.all())
        return {
            "team": self.team is not None,
            "people": len(self.responders) > 1 or has_turns,
            "schedule": has_turns,
            "policy": has_targets and self.is_policy_in_charge,
            "service": self.service is not None,
            "integration": self.integration is not None and something_came_in(),
            "test": somebody_answered(),
        }

    @property
    def is_done(self) -> bool:
        return all(self.done.values())

    @property
    def current(self) -> str:
        """The first step to be done; when all are, the last."""
        return next((name for name, is_done in self.done.items() if not is_done), NAMES[-1])

    def may_do(self, step: Step) -> bool:
        """A policy may be made of people alone; what else comes before is needed."""
        match step.needs:
            case "team":
                return self.team is not None
            case "schedule":
                return bool(self.responders)
            case "service":
                return self.service is not None
            case "integration":
                return self.integration is not None
        return True


def something_came_in() -> bool:
    """Whether any alert ever came from a monitoring system, and not from the guide."""
    return Alert.objects.exclude(dedup_key=TEST_KEY).exists()


def somebody_answered() -> bool:
    """Whether anybody was ever paged about an incident and acknowledged it."""
    sent = Notification.objects.filter(purpose=Purpose.PAGE, status=NotificationStatus.SENT)
    return sent.filter(incident__first_acknowledged_by__isnull=False).exists()


def is_open_for(user: User) -> bool:
    """Whether the guide is what an administrator should see first."""
    return is_admin(user) and not user.first_steps_put_away and not Progress().is_done
