"""The demo: two teams, six people, and two weeks of history, for a newcomer's first look.

Written on the first `manage.py up` with the embedded servers. Its accounts have a known password.
"""

import hashlib
import hmac
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from alerts import heartbeats, maintenance_series
from alerts.enums import AlertStatus, Grouping, Repeats, Source
from alerts.models import KEY_LENGTH, Alert, Heartbeat, Integration
from escalations.enums import RunStatus, TargetKind
from escalations.models import EscalationPolicy, EscalationRun, EscalationStep, RoutingRule, StepTarget
from escalations.snapshot import of_policy
from incidents import timeline
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident, TimelineEntry
from incidents.timeline import Actor
from notifications.contacts import ensure_default_methods
from notifications.enums import AttemptStatus, Channel, NotificationStatus
from notifications.models import ContactMethod, DeliveryAttempt, Notification
from openalert.ids import uuid7_floor
from teams.enums import Role, Rotation
from teams.models import Layer, Membership, Override, Participant, Schedule, Service, Team, User

PASSWORD = "openalert-demo"  # noqa: S105  # it is printed at every start
SEED = 20260302
HISTORY_DAYS = 14
HISTORY_COUNT = 36


@dataclass(frozen=True)
class SignIn:
    """An account of the demo."""

    name: str
    email: str
    password: str
    role: str


@dataclass(frozen=True)
class Person:
    name: str
    job_title: str
    time_zone: str
    phone: str

    @property
    def email(self) -> str:
        return f"{self.name.split()[0].lower()}@demo.openalert.example"


ANA = Person("Ana Ruiz", "Payments engineer", "Europe/Berlin", "+15005550001")
BO = Person("Bo Chen", "Payments engineer", "Europe/Berlin", "+15005550002")
CARLA = Person("Carla Haas", "Head of Payments", "Europe/Berlin", "+15005550003")
DEV = Person("Dev Patel", "Head of Platform", "America/New_York", "+15005550004")
EMMA = Person("Emma Olsen", "Site reliability engineer", "America/New_York", "+15005550005")
FINN = Person("Finn Walsh", "Customer support", "Europe/Dublin", "+15005550006")
PEOPLE = (ANA, BO, CARLA, DEV, EMMA, FINN)

# team → (time zone, {person: role})
TEAMS = {
    "Payments": (
        "Europe/Berlin",
        {
            CARLA: Role.MANAGER,
            ANA: Role.RESPONDER,
            BO: Role.RESPONDER,
            EMMA: Role.RESPONDER,
            FINN: Role.OBSERVER,
        },
    ),
    "Platform": (
        "America/New_York",
        {DEV: Role.MANAGER, EMMA: Role.RESPONDER, BO: Role.RESPONDER, FINN: Role.OBSERVER},
    ),
}
# service → (team, description)
SERVICES = {
    "Checkout": ("Payments", "Takes orders from cart to payment."),
    "Card gateway": ("Payments", "Talks to the acquiring banks."),
    "Invoicing": ("Payments", "Writes and mails invoices at night."),
    "Kubernetes": ("Platform", "The clusters that everything runs on."),
    "Databases": ("Platform", "PostgreSQL, its replicas and backups."),
}
# schedule → (team, people in turn)
SCHEDULES = {
    "Payments, first line": ("Payments", (ANA,)),
    "Payments, second line": ("Payments", (BO, CARLA)),
    "Platform on call": ("Platform", (EMMA, DEV, BO)),
}
# integration → (service, source, grouping, labels)
INTEGRATIONS = {
    "Checkout probes": ("Checkout", Source.OPENALERT, Grouping.NAME, []),
    "Bank monitors": ("Card gateway", Source.OPENALERT, Grouping.ALL, []),
    "Batch jobs": ("Invoicing", Source.OPENALERT, Grouping.NONE, []),
    "Prometheus": ("Kubernetes", Source.ALERTMANAGER, Grouping.LABELS, ["alertname", "cluster"]),
    "Prometheus, databases": ("Databases", Source.ALERTMANAGER, Grouping.NAME, []),
}
FIRST_INTEGRATION = "Checkout probes"
SECOND_INTEGRATION = "Prometheus"
# What has happened: integration → (title, severity, labels, source)
TROUBLES = {
    "Checkout probes": [
        ("Checkout answers slowly: p99 over 3 s", Severity.HIGH, {"region": "eu-1"}, "probe-fra-2"),
        ("Checkout fails for one in ten orders", Severity.CRITICAL, {"region": "eu-1"}, "probe-fra-1"),
        (
            "Certificate of shop.example.org ends in 9 days",
            Severity.MEDIUM,
            {"host": "shop.example.org"},
            "certs",
        ),
    ],
    "Bank monitors": [
        ("Northern Bank refuses connections", Severity.CRITICAL, {"bank": "northern"}, "gateway-2"),
        ("3-D Secure takes longer than 8 s", Severity.HIGH, {"bank": "coastal"}, "gateway-1"),
    ],
    "Batch jobs": [
        ("Invoices of yesterday are not written", Severity.MEDIUM, {"job": "invoices"}, "cron-4"),
        ("Mail queue holds 12,000 letters", Severity.LOW, {"job": "mailer"}, "cron-4"),
    ],
    "Prometheus": [
        (
            "Node eu-1-worker-7 is not ready",
            Severity.HIGH,
            {"alertname": "NodeNotReady", "cluster": "eu-1"},
            "kubelet",
        ),
        (
            "Pods of cart restart in a loop",
            Severity.HIGH,
            {"alertname": "CrashLoop", "cluster": "us-1"},
            "kube-state",
        ),
        (
            "Disk of eu-1-worker-3 is 91 % full",
            Severity.MEDIUM,
            {"alertname": "DiskFilling", "cluster": "eu-1"},
            "node",
        ),
    ],
    "Prometheus, databases": [
        (
            "Replica db-2 is 45 s behind",
            Severity.MEDIUM,
            {"alertname": "ReplicaLag", "db": "db-2"},
            "db-2:9187",
        ),
        (
            "No connections left on db-1",
            Severity.CRITICAL,
            {"alertname": "ConnectionsFull", "db": "db-1"},
            "db-1:9187",
        ),
    ],
}
CAUSES = (
    "Bad deploy, rolled back.",
    "The bank had a fault of its own; they have mended it.",
    "Raised the limit, and wrote down why.",
    "Restarted the node. The cause is not known yet.",
    "Cleaned up old backups; a job does it from now on.",
)


def integration_key(name: str) -> str:
    """The demo's keys follow from the secret key, so that every start can print them: only hashes are stored."""
    digest = hmac.new(settings.SECRET_KEY.encode(), f"demo integration {name}".encode(), hashlib.sha256)
    return digest.hexdigest()[:KEY_LENGTH]


def demo_sign_ins() -> list[SignIn]:
    """Who can sign in; the first is the one who is on call for the first steps."""
    return [
        SignIn(ANA.name, ANA.email, PASSWORD, "responder, on call for Payments"),
        SignIn(CARLA.name, CARLA.email, PASSWORD, "manager of Payments, administrator"),
    ]


def sign_ins_there() -> list[SignIn]:
    """None where the demo was not written."""
    return demo_sign_ins() if User.objects.filter(email=ANA.email).exists() else []


def first_steps() -> list[str]:
    """What a newcomer does first, as lines for a terminal."""
    ana, carla = demo_sign_ins()
    site = settings.SITE_URL
    return [
        f"open     {site}",
        f"sign in  {ana.email} / {PASSWORD}   ({ana.role})",
        f"         {carla.email} / {PASSWORD}   ({carla.role})",
        "fire an alert:",
        f"  curl -X POST {site}/api/v1/alerts -H 'Authorization: Bearer {integration_key(FIRST_INTEGRATION)}' "
        '-d \'{"external_id": "checkout-down", "title": "Checkout is down", "severity": "critical"}\'',
        f"Alertmanager's webhook_configs url: {site}/integrations/alertmanager/{integration_key(SECOND_INTEGRATION)}",
    ]


@transaction.atomic
def seed(now: datetime | None = None) -> bool:
    """Write the demo into an empty installation; False when there are people already."""
    if User.objects.exists():
        return False
    _Demo(now or timezone.now()).write()
    return True


class _Demo:
    def __init__(self, now: datetime) -> None:
        self.now = now
        self.random = random.Random(SEED)  # noqa: S311
        self.users: dict[Person, User] = {}
        self.teams: dict[str, Team] = {}
        self.services: dict[str, Service] = {}
        self.schedules: dict[str, Schedule] = {}
        self.integrations: dict[str, Integration] = {}
        self.policies: dict[str, EscalationPolicy] = {}

    def write(self) -> None:
        self.people()
        self.what_teams_own()
        self.on_call()
        self.escalation()
        self.what_is_expected()
        self.history()

    def what_is_expected(self) -> None:
        """Work that comes again, and a backup that is to say that it ran."""
        databases = self.services["Databases"]
        sunday = self.now.replace(hour=3, minute=0, second=0, microsecond=0)
        sunday += timedelta(days=6 - self.now.weekday() or 7)
        maintenance_series.add_series(
            team=databases.team,
            title="Patches for the databases",
            services=[databases],
            repeats=Repeats.BIWEEKLY,
            time_zone=databases.team.time_zone,
            starts_at=sunday,
            ends_at=sunday + timedelta(hours=2),
            by=self.users[CARLA],
        )
        backup = Heartbeat(name="Nightly backup", cron="30 2 * * *", grace_minutes=60, severity=Severity.HIGH)
        heartbeats.add(backup, service=databases)

    def people(self) -> None:
        for person in PEOPLE:
            self.users[person] = User.objects.create_user(
                person.email,
                PASSWORD,
                name=person.name,
                job_title=person.job_title,
                time_zone=person.time_zone,
                phone=person.phone,
                is_staff=person is CARLA,
                is_superuser=person is CARLA,
            )
            ensure_default_methods(self.users[person])
        for name, (time_zone, members) in TEAMS.items():
            self.teams[name] = Team.objects.create(name=name, time_zone=time_zone)
            Membership.objects.bulk_create(
                Membership(team=self.teams[name], user=self.users[person], role=role)
                for person, role in members.items()
            )

    def what_teams_own(self) -> None:
        for name, (team, description) in SERVICES.items():
            slug = name.lower().replace(" ", "-")
            self.services[name] = Service.objects.create(
                team=self.teams[team],
                name=name,
                description=description,
                runbook_url=f"https://runbooks.example.org/{slug}",
            )
        for name, (service, source, grouping, labels) in INTEGRATIONS.items():
            integration = Integration(
                service=self.services[service],
                name=name,
                source=source,
                grouping=grouping,
                grouping_labels=labels,
            )
            integration.set_key(integration_key(name))
            integration.save()
            self.integrations[name] = integration

    def on_call(self) -> None:
        for name, (team, turns) in SCHEDULES.items():
            schedule = Schedule.objects.create(
                team=self.teams[team], name=name, time_zone=self.teams[team].time_zone
            )
            monday = self.now.astimezone(schedule.tzinfo) - timedelta(days=self.now.weekday(), weeks=8)
            layer = Layer.objects.create(
                schedule=schedule,
                name="Weekly turns",
                rotation=Rotation.WEEKLY,
                starts_at=monday.replace(hour=9, minute=0, second=0, microsecond=0),
            )
            Participant.objects.bulk_create(
                Participant(layer=layer, user=self.users[person], position=position)
                for position, person in enumerate(turns)
            )
            self.schedules[name] = schedule
        noon = (self.now + timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)
        Override.objects.create(
            schedule=self.schedules["Platform on call"],
            user=self.users[BO],
            starts_at=noon,
            ends_at=noon + timedelta(hours=8),
            created_by=self.users[DEV],
        )

    def escalation(self) -> None:
        levels: dict[str, list[list[Schedule | User | Team]]] = {
            "Payments": [
                [self.schedules["Payments, first line"]],
                [self.schedules["Payments, second line"]],
                [self.teams["Payments"]],
            ],
            "Platform": [[self.schedules["Platform on call"]], [self.users[DEV]], [self.teams["Platform"]]],
        }
        kinds = {Schedule: TargetKind.SCHEDULE, User: TargetKind.USER, Team: TargetKind.TEAM}
        for team, steps in levels.items():
            policy = EscalationPolicy.objects.create(
                team=self.teams[team], name=f"{team}: first line, second line, everybody", repeat_count=1
            )
            for position, targets in enumerate(steps):
                step = EscalationStep.objects.create(policy=policy, position=position, delay_seconds=60)
                for target in targets:
                    kind = kinds[type(target)]
                    StepTarget.objects.create(step=step, kind=kind, **{kind: target})
            self.policies[team] = policy
        relaxed = EscalationPolicy.objects.create(
            team=self.teams["Payments"], name="Payments: first line only", repeat_count=0
        )
        step = EscalationStep.objects.create(policy=relaxed, position=0, delay_seconds=60)
        StepTarget.objects.create(
            step=step, kind=TargetKind.SCHEDULE, schedule=self.schedules["Payments, first line"]
        )
        RoutingRule.objects.bulk_create(
            [
                RoutingRule(
                    team=self.teams["Payments"],
                    position=0,
                    severities=[Severity.MEDIUM, Severity.LOW],
                    policy=relaxed,
                ),
                RoutingRule(team=self.teams["Payments"], position=1, policy=self.policies["Payments"]),
                RoutingRule(team=self.teams["Platform"], position=0, policy=self.policies["Platform"]),
            ]
        )

    def history(self) -> None:
        """Incidents that are over, and two that somebody works on: nothing that would page anybody."""
        starts = sorted(
            self.now - timedelta(minutes=self.random.uniform(8 * 60, HISTORY_DAYS * 24 * 60))
            for _ in range(HISTORY_COUNT)
        )
        for at in starts:
            name = self.random.choice(list(TROUBLES))
            self.incident(name, self.random.choice(TROUBLES[name]), at, resolved=True)
        self.incident("Prometheus", TROUBLES["Prometheus"][2], self.now - timedelta(hours=3), resolved=False)
        self.incident(
            "Bank monitors", TROUBLES["Bank monitors"][1], self.now - timedelta(minutes=50), resolved=False
        )

    def incident(
        self, name: str, trouble: tuple[str, Severity, dict[str, str], str], at: datetime, *, resolved: bool
    ) -> None:
        title, severity, labels, source = trouble
        integration = self.integrations[name]
        service = integration.service
        policy = self.policies[service.team.name]
        [schedule, second] = (
            ("Payments, first line", BO) if service.team.name == "Payments" else ("Platform on call", DEV)
        )
        first = self.users[SCHEDULES[schedule][1][0]]
        slow = self.random.random() < 0.25  # nobody of the first line answers
        answerer = self.users[second] if slow else first
        acknowledged_at = at + timedelta(
            seconds=self.random.uniform(65, 115) if slow else self.random.uniform(15, 55)
        )
        resolved_at = acknowledged_at + timedelta(minutes=self.random.uniform(4, 95))
        incident = Incident.objects.create(
            service=service,
            title=title,
            severity=severity,
            status=Status.RESOLVED if resolved else Status.ACKNOWLEDGED,
            opened_at=at,
            last_alert_at=at,
            acknowledged_at=acknowledged_at,
            acknowledged_by=answerer,
            first_acknowledged_at=acknowledged_at,
            first_acknowledged_by=answerer,
            assigned_to=answerer,
            resolved_at=resolved_at if resolved else None,
            resolved_by=answerer if resolved else None,
        )
        count = self.random.randint(1, 40)
        Alert.objects.create(
            # As if it had come in then: ids are in the order of time.
            id=UUID(int=int(uuid7_floor(at), 16) | self.random.getrandbits(60)),
            integration=integration,
            incident=incident,
            dedup_key=f"demo-{incident.pk}",
            is_current=not resolved,
            status=AlertStatus.RESOLVED if resolved else AlertStatus.FIRING,
            title=title,
            severity=severity,
            source=source,
            labels=labels,
            metadata={"tags": labels, "runbook": service.runbook_url},
            count=count,
            first_fired_at=at,
            last_fired_at=at + timedelta(seconds=20 * count),
            resolved_at=resolved_at if resolved else None,
        )
        run = EscalationRun.objects.create(
            incident=incident,
            policy=policy,
            snapshot=of_policy(policy),
            status=RunStatus.STOPPED,
            priority=severity.rank,
            step=2 if slow else 1,
            ended_at=acknowledged_at,
            end_reason="acknowledged",
        )
        self.story(incident, run, [first, answerer] if slow else [first], title=title)

    def story(self, incident: Incident, run: EscalationRun, paged: list[User], *, title: str) -> None:
        at, answerer = incident.opened_at, incident.acknowledged_by
        integration = incident.alerts.get().integration
        sender = Actor.integration(integration.name, via=integration.source)
        person = Actor.person(answerer, via="web")
        entries: list[tuple[datetime, Kind, Actor, dict[str, Any]]] = [
            (at, Kind.OPENED, sender, {"severity": incident.severity, "count": 1, "titles": [title]}),
            (at, Kind.ESCALATION_STARTED, timeline.SYSTEM, {"policy": run.snapshot["policy"]}),
        ]
        for step, user in enumerate(paged):
            step_at = at + timedelta(minutes=step)
            names = [target["name"] for target in run.snapshot["steps"][step]["targets"]]
            where = {"loop": 0, "step": step}
            entries.append(
                (
                    step_at,
                    Kind.STEP_REACHED,
                    timeline.SYSTEM,
                    {"people": [user.name], "targets": names, **where},
                )
            )
            for method in ContactMethod.objects.filter(user=user):
                sent_at = step_at + timedelta(milliseconds=self.random.uniform(80, 900))
                self.page(incident, run, step, method, step_at, sent_at)
                channel = Channel(method.channel).phrase
                entries.append(
                    (sent_at, Kind.PAGE_SENT, timeline.SYSTEM, {"user": user.name, "channel": channel})
                )
        entries.append((incident.acknowledged_at, Kind.ACKNOWLEDGED, person, {}))
        if incident.resolved_at:
            note_at = incident.resolved_at - timedelta(seconds=30)
            entries.append((note_at, Kind.NOTE, person, {"text": self.random.choice(CAUSES)}))
            entries.append((incident.resolved_at, Kind.RESOLVED, person, {}))
        TimelineEntry.objects.bulk_create(
            timeline.entry(incident, kind, actor=actor, at=moment, **data)
            for moment, kind, actor, data in entries
        )

    def page(
        self,
        incident: Incident,
        run: EscalationRun,
        step: int,
        method: ContactMethod,
        due_at: datetime,
        sent_at: datetime,
    ) -> None:
        notification = Notification.objects.create(
            created_at=due_at,
            user=method.user,
            incident=incident,
            contact_method=method,
            channel=method.channel,
            address=method.address,
            run_id=run.pk,
            step=step,
            priority=run.priority,
            status=NotificationStatus.SENT,
            due_at=due_at,
            wake_at=due_at,
            attempt_count=1,
            sent_at=sent_at,
            seen_at=sent_at + timedelta(minutes=1),
        )
        DeliveryAttempt.objects.create(
            notification=notification,
            number=1,
            status=AttemptStatus.SENT,
            started_at=due_at,
            finished_at=sent_at,
        )
