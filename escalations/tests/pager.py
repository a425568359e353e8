"""Stories about pages: fire, let time pass, see who was paged."""

from datetime import timedelta

from alerts import intake
from alerts.enums import AlertStatus
from alerts.events import AlertEvent
from alerts.intake import Arrival
from alerts.tests.factories import IntegrationFactory
from escalations import changes, engine
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity
from incidents.models import Incident
from incidents.timeline import Actor
from notifications import outbox
from notifications.enums import UNFINISHED, NotificationStatus, Purpose
from notifications.models import Notification
from openalert.tests.clock import Clock
from teams.models import User
from teams.tests.factories import ServiceFactory, UserFactory


class Pager:
    """A service with an integration and a policy; beat and workers are played by hand."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.service = ServiceFactory()
        self.team = self.service.team
        self.integration = IntegrationFactory(service=self.service)

    def person(self, name: str) -> User:
        return User.objects.filter(name=name).first() or UserFactory(name=name)

    def policy(self, *levels: list, delay: timedelta = timedelta(minutes=5), repeat: int = 0, **fields):
        """The service's policy; a level is a list of names, people, schedules and teams, or of (kind, schedule or team)."""
        targets = [[self.person(t) if isinstance(t, str) else t for t in level] for level in levels]
        policy = PolicyFactory(
            team=self.team,
            repeat_count=repeat,
            levels=targets,
            levels__delay_seconds=int(delay.total_seconds()),
            **fields,
        )
        RoutingRuleFactory(team=self.team, policy=policy)
        return policy

    def fire(self, key: str = "disk", *, severity: Severity = Severity.CRITICAL, **fields) -> Incident:
        event = AlertEvent(
            dedup_key=key,
            **{"status": AlertStatus.FIRING, "title": key, "name": key, "severity": severity, **fields},
        )
        [result] = intake.ingest([Arrival(self.integration, event)])
        self.work()
        return Incident.objects.get(number=result.incident)

    def end(self, key: str = "disk") -> None:
        self.fire(key, status=AlertStatus.RESOLVED)

    def work(self) -> None:
        """What beat and the workers do within the second."""
        lifecycle.wake_snoozed()
        changes.resume()
        engine.tick()
        due = Notification.objects.filter(status__in=UNFINISHED, due_at__lte=self.clock.now)
        for pk in due.order_by("priority", "due_at").values_list("pk", flat=True):
            outbox.deliver(pk)

    def wait(self, **span: float) -> None:
        self.clock.advance(**span)
        self.work()

    def acting(self, name: str) -> Actor:
        return Actor.person(self.person(name), via="web")

    def paged(self, incident: Incident) -> list[str]:
        """The people who were sent a page about the incident, in order, once for each step that reached them."""
        sent = Notification.objects.filter(
            incident=incident, purpose=Purpose.PAGE, status=NotificationStatus.SENT
        ).order_by("sent_at", "loop", "step", "user__name")
        seen = dict.fromkeys((n.run_id, n.loop, n.step, n.user.name) for n in sent.select_related("user"))
        return [name for *_, name in seen]

    def story(self, incident: Incident) -> list[str]:
        """The kinds of the incident's timeline entries, without the pages'."""
        kinds = incident.timeline.exclude(kind__in=[Kind.PAGE_SENT, Kind.PAGE_FAILED])
        return list(kinds.values_list("kind", flat=True))
