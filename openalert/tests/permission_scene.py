"""One row of everything that an address can name, all of one team, and the people who ask for it."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from alerts.enums import Source
from alerts.tests.factories import (
    AlertFactory,
    ChangeFactory,
    HeartbeatFactory,
    IntegrationFactory,
    MaintenanceSeriesFactory,
    MaintenanceWindowFactory,
    RuleFactory,
)
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, RunFactory
from incidents.enums import LinkKind, ReportKind, UpdateState
from incidents.models import (
    ActionItem,
    IncidentLink,
    IncidentTask,
    Postmortem,
    ResponseSettings,
    SavedFilter,
    Stakeholder,
    StatusUpdate,
    Subscription,
)
from incidents.reports import schedules as report_schedules
from incidents.tests.factories import IncidentFactory
from notifications.enums import NotificationStatus
from notifications.models import MailboxMessage
from notifications.tests.factories import (
    ContactMethodFactory,
    NotificationFactory,
    NotificationRuleFactory,
    QuietHoursFactory,
    WebhookDeliveryFactory,
    WebhookFactory,
)
from teams import api_tokens
from teams.models import Membership, User
from teams.tests.factories import (
    CalendarFeedFactory,
    HandOverNoteFactory,
    LayerFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceDependencyFactory,
    ServiceFactory,
    ShiftSwapFactory,
    TeamFactory,
    UserFactory,
)

ROLES = ("anonymous", "outsider", "observer", "responder", "manager", "auditor", "admin")


class Scene:
    """`people` by role; what is a person's own is the responder's. `rows` are found by their model."""

    def __init__(self) -> None:
        self.people: dict[str, User | None] = {"anonymous": None}
        for role in ROLES[1:-1]:
            self.people[role] = UserFactory(name=role.title(), is_auditor=role == "auditor")
        self.people["admin"] = UserFactory(name="Admin", is_superuser=True, is_staff=True)
        observer, responder, manager = (self.people[role] for role in ("observer", "responder", "manager"))
        self.other = UserFactory(name="Other")
        self.team = team = TeamFactory(
            name="Payments", managers=[manager], responders=[responder, self.other], observers=[observer]
        )
        self.other_team = TeamFactory(name="Search", managers=[self.people["outsider"]])
        # Of another team of theirs: whom a manager may take into this one.
        self.newcomer = UserFactory(name="Newcomer")
        TeamFactory(name="Everybody", observers=[observer, responder, manager, self.newcomer])
        self.service = service = ServiceFactory(team=team, name="Checkout")
        self.upstream = ServiceFactory(team=team, name="Database")
        self.third = ServiceFactory(team=team, name="Disks")
        self.incident = IncidentFactory(service=service)
        self.second_incident = IncidentFactory(service=service)
        integration = IntegrationFactory(service=service, source=Source.GENERIC)
        schedule = ScheduleFactory(team=team, on_call=[responder, self.other])
        policy = PolicyFactory(team=team, levels=[[responder]])
        webhook = WebhookFactory(team=team)
        method = ContactMethodFactory(user=responder)
        dead = NotificationFactory(
            user=responder,
            incident=self.incident,
            contact_method=method,
            status=NotificationStatus.DEAD,
        )
        self.rule = RuleFactory(integration=integration)
        now = timezone.now()
        rows: list[Model] = [
            team,
            service,
            self.incident,
            integration,
            schedule,
            policy,
            webhook,
            method,
            dead,
            responder,
            Membership.objects.get(team=team, user=self.other),
            self.rule,
            AlertFactory(incident=self.incident, integration=integration),
            ChangeFactory(integration=integration),
            MaintenanceWindowFactory(team=team),
            schedule.layers.get(),
            OverrideFactory(schedule=schedule, user=self.other),
            ShiftSwapFactory(schedule=schedule, asker=self.other, starts_at=now + timedelta(days=30)),
            HandOverNoteFactory(schedule=schedule, author=responder),
            CalendarFeedFactory(user=responder),
            ServiceDependencyFactory(service=service, upstream=self.upstream),
            RoutingRuleFactory(team=team, policy=policy),
            RunFactory(incident=self.incident, policy=policy),
            NotificationRuleFactory(user=responder, contact_method=method),
            QuietHoursFactory(user=responder),
            WebhookDeliveryFactory(webhook=webhook),
            MailboxMessage.objects.create(recipient=responder.email, sender="a@example.org", subject="Hello"),
            SavedFilter.objects.create(user=responder, name="Mine", query="status=open"),
            api_tokens.create_token(by=manager, name="deploys", scopes=["read"], team=team)[0],
            report_schedules.add(team, ReportKind.DAILY),
            MaintenanceSeriesFactory(team=team),
            HeartbeatFactory(integration=integration),
            *self.response(responder, now),
        ]
        LayerFactory(schedule=schedule, participants=[responder])
        self.rows: dict[type[Model], Any] = {type(row): row for row in rows}

    def response(self, responder: User, now: datetime) -> list[Model]:
        """What people made of the incident."""
        incident, stakeholder = self.incident, Stakeholder.objects.create(address="reader@example.org")
        return [
            IncidentTask.objects.create(incident=incident, text="Look at the disks"),
            IncidentLink.objects.create(
                incident=incident, other=self.second_incident, kind=LinkKind.RELATES_TO
            ),
            StatusUpdate.objects.create(incident=incident, state=UpdateState.INVESTIGATING, text="We look."),
            Subscription.objects.create(stakeholder=stakeholder, incident=incident),
            Postmortem.objects.create(incident=incident, body="It was the disks.", edited_at=now),
            ActionItem.objects.create(incident=incident, text="Larger disks"),
            ResponseSettings.objects.create(team=self.team),
            stakeholder,
        ]
