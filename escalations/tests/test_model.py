"""The engine beside a small reference (escalations/tests/model.py): whatever people do, in whatever order workers run."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alerts import maintenance
from alerts.models import MaintenanceWindow
from escalations import changes, engine
from escalations.enums import RunStatus, TargetKind
from escalations.models import EscalationRun
from escalations.tests import model
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory, RoutingRuleFactory, StepFactory
from escalations.tests.model import ACKNOWLEDGED, OPEN, RESOLVED, SNOOZED, Level, Model, Policy
from incidents import lifecycle
from incidents.enums import Severity
from incidents.models import Incident, TimelineEntry
from incidents.timeline import SYSTEM, Actor
from notifications import outbox
from notifications.enums import UNFINISHED, Channel
from notifications.models import Notification
from notifications.tests.factories import ContactMethodFactory
from teams.tests.factories import ScheduleFactory, ServiceFactory, UserFactory

NAMES = ("ana", "bo", "cy", "dee")
IN_TURN = ("ana", "bo", "cy")
MOST_CASES = 4

LEVELS = st.builds(
    Level,
    st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple),
    st.sampled_from([0, 30, 300]).map(lambda seconds: timedelta(seconds=seconds)),
) | st.builds(Level, st.just(IN_TURN), st.sampled_from([timedelta(0), timedelta(seconds=60)]), st.just(True))


def policies(name):
    return st.builds(
        Policy,
        st.just(name),
        st.lists(LEVELS, max_size=3).map(tuple),
        st.integers(0, 2),
        st.sampled_from([timedelta(minutes=10), timedelta(minutes=10), None]),
    )


SPANS = st.sampled_from([1, 30, 60, 300, 600, 7200])
CASES = st.integers(0, MOST_CASES - 1)
SEVERITIES = st.sampled_from(Severity.values)


class Engine(RuleBasedStateMachine):
    clock = None

    def __init__(self):
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.people = {name: UserFactory(name=name) for name in NAMES}
        for user in self.people.values():
            ContactMethodFactory(user=user, channel=Channel.IN_APP)
        self.service = ServiceFactory()
        self.schedule = ScheduleFactory(
            team=self.service.team, on_call=[self.people[name] for name in IN_TURN]
        )
        self.incidents = []

    def teardown(self):
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @initialize(usual=policies("usual"), critical=policies("critical"), severity=SEVERITIES)
    def begin(self, usual, critical, severity):
        team = self.service.team
        self.rows = {name: PolicyFactory(team=team, name=name) for name in ("usual", "critical")}
        self.write(usual)
        self.write(critical)
        RoutingRuleFactory(team=team, severities=[Severity.CRITICAL], policy=self.rows["critical"])
        PagingSettingsFactory(team=team, default_policy=self.rows["usual"])
        self.model = Model(usual, critical)
        self.fire(severity)
        self.tick(1)

    def write(self, policy):
        row = self.rows[policy.name]
        row.repeat_count = policy.repeat
        row.acknowledge_timeout_minutes = policy.timeout and policy.timeout.total_seconds() // 60
        row.save()
        row.steps.all().delete()
        for level in policy.levels:
            people = [self.people[name] for name in level.people]
            targets = [(TargetKind.ROUND_ROBIN, self.schedule)] if level.in_turn else people
            StepFactory(policy=row, targets=targets, delay_seconds=level.delay.total_seconds())

    def now(self):
        """Each thing that happens has an instant of its own."""
        return self.clock.advance(seconds=1)

    def pick(self, number, *statuses):
        """One of the cases in one of the statuses; (None, None) when there is none."""
        found = [
            (case, incident)
            for case, incident in zip(self.model.cases, self.incidents, strict=True)
            if case.status in statuses
        ]
        return found[number % len(found)] if found else (None, None)

    # What people do

    @precondition(lambda self: len(self.incidents) < MOST_CASES)
    @rule(severity=SEVERITIES)
    def fire(self, severity):
        now = self.now()
        incident = Incident(
            service=self.service, title="x", severity=severity, opened_at=now, last_alert_at=now
        )
        lifecycle.open_incidents([incident], actor=SYSTEM)
        self.incidents.append(incident)
        self.model.fire(severity, now)

    @rule(number=CASES, who=st.sampled_from(NAMES))
    def acknowledge(self, number, who):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            now = self.now()
            actor = Actor.person(self.people[who], via="web")
            lifecycle.acknowledge(incident_id=incident.pk, actor=actor)
            self.model.acknowledge(case, who, now)

    @rule(number=CASES)
    def unacknowledge(self, number):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            now = self.now()
            lifecycle.unacknowledge(incident_id=incident.pk, actor=SYSTEM)
            self.model.unacknowledge(case, now)

    @rule(number=CASES, minutes=st.sampled_from([1, 20]))
    def snooze(self, number, minutes):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            until = self.now() + timedelta(minutes=minutes)
            lifecycle.snooze(incident_id=incident.pk, until=until, actor=SYSTEM)
            self.model.snooze(case, until)

    @rule(number=CASES)
    def resolve(self, number):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED, RESOLVED)
        if case:
            self.now()
            lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
            self.model.resolve(case)

    @rule(number=CASES)
    def reopen(self, number):
        case, incident = self.pick(number, RESOLVED)
        if case:
            now = self.now()
            lifecycle.reopen(incident_id=incident.pk, actor=SYSTEM)
            self.model.reopen(case, now)

    @rule(number=CASES)
    def escalate(self, number):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            now = self.now()
            engine.escalate_now(incident_id=incident.pk, actor=SYSTEM)
            self.model.escalate(case, now)

    @rule(number=CASES, name=st.sampled_from(["usual", "critical"]))
    def reassign(self, number, name):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            now = self.now()
            engine.reassign(incident_id=incident.pk, actor=SYSTEM, policy=self.fresh(name))
            self.model.reassign(case, getattr(self.model, name), now)

    def fresh(self, name):
        return type(self.rows[name]).objects.get(pk=self.rows[name].pk)

    @rule(number=CASES, severity=SEVERITIES)
    def change_severity(self, number, severity):
        case, incident = self.pick(number, OPEN, SNOOZED, ACKNOWLEDGED)
        if case:
            now = self.now()
            lifecycle.change_severity(incident_id=incident.pk, severity=Severity(severity), actor=SYSTEM)
            self.model.set_severity(case, severity, now)

    @rule(usual=policies("usual"))
    def edit_usual(self, usual):
        self.write(usual)
        self.model.usual = usual

    @rule(critical=policies("critical"))
    def edit_critical(self, critical):
        self.write(critical)
        self.model.critical = critical

    @rule(begins=st.sampled_from([-5, 0, 5]), minutes=st.sampled_from([6, 30]))
    def add_window(self, begins, minutes):
        now = self.now()
        starts_at = now + timedelta(minutes=begins)
        ends_at = starts_at + timedelta(minutes=minutes)
        maintenance.add_window(
            team=self.service.team, title="x", starts_at=starts_at, ends_at=ends_at, by=None
        )
        self.model.change_windows([*self.model.windows, (starts_at, ends_at)], now)

    @rule(minutes=st.sampled_from([0, 10, 60]))
    def end_windows(self, minutes):
        """Those that are not over end now, or at another time."""
        now = self.now()
        windows = []
        for window in MaintenanceWindow.objects.order_by("starts_at", "pk"):
            if window.ends_at > now:
                if minutes == 0:
                    maintenance.cancel_window(window.pk)
                    window.ends_at = now
                else:
                    window.ends_at = max(window.starts_at, now) + timedelta(minutes=minutes)
                    maintenance.change_window(window.pk, ends_at=window.ends_at)
            if window.ends_at > window.starts_at:
                windows.append((window.starts_at, window.ends_at))
        self.model.change_windows(windows, now)

    # What time and workers do

    @rule(seconds=st.sampled_from([1, 30, 60, 300, 600, 7200, 86400]))
    def pass_time(self, seconds):
        self.clock.advance(seconds=seconds)

    @rule(times=st.integers(1, 2))
    def tick(self, times):
        now = self.now()
        due = EscalationRun.objects.filter(due_at__lte=now).order_by("priority", "due_at", "pk")
        places = {incident.pk: place for place, incident in enumerate(self.incidents)}
        order = [places[incident_id] for incident_id in due.values_list("incident_id", flat=True)]
        assert set(order) == self.model.due(now)
        ranks = [self.model.cases[place].run.rank for place in order]
        assert ranks == sorted(ranks)
        for _ in range(times):
            engine.tick()
        self.model.tick(now, order)

    @rule(times=st.integers(1, 2))
    def resume(self, times):
        now = self.now()
        for _ in range(times):
            changes.resume()
        self.model.resume(now)

    @rule(times=st.integers(1, 2))
    def wake(self, times):
        now = self.now()
        for _ in range(times):
            lifecycle.wake_snoozed()
        self.model.wake(now)

    @rule(seconds=SPANS, tasks=st.permutations(["tick", "resume", "wake"]))
    def a_moment_passes(self, seconds, tasks):
        self.clock.advance(seconds=seconds)
        for task in tasks:
            getattr(self, task)(1)

    # Most of what happens is that time passes and workers work.
    another_moment_passes = rule(seconds=SPANS, tasks=st.permutations(["tick", "resume", "wake"]))(
        lambda self, seconds, tasks: self.a_moment_passes(seconds, tasks)
    )
    yet_another_passes = rule(seconds=SPANS)(
        lambda self, seconds: self.a_moment_passes(seconds, ["wake", "resume", "tick"])
    )

    @rule(order=st.randoms(use_true_random=False), is_doubled=st.booleans())
    def deliver(self, order, is_doubled):
        pages = list(Notification.objects.filter(status__in=UNFINISHED).values_list("pk", flat=True))
        pages += pages if is_doubled else []
        order.shuffle(pages)
        for pk in pages:
            outbox.deliver(pk)
        self.model.deliver()

    # What has to be the same

    @invariant()
    def is_as_the_model(self):
        for case, incident in zip(
            getattr(self, "model", Model).cases if self.incidents else (), self.incidents, strict=True
        ):
            incident.refresh_from_db()
            assert (incident.status, incident.severity) == (case.status, case.severity)
            run = EscalationRun.objects.filter(incident=incident, status=RunStatus.RUNNING).first()
            assert (run.due_at if run else None) == (case.run.due if case.is_running else None)
            pages = model.Counter(
                Notification.objects.filter(incident=incident).values_list(
                    "user__name", "loop", "step", "status"
                )
            )
            assert pages == case.seen()
            told = TimelineEntry.objects.filter(incident=incident, kind="step_reached").count()
            assert told == len({page[1:] for page in case.pages})


@pytest.mark.timeout(900)
def test_the_engine_does_what_the_model_does(db, clock):
    Engine.clock = clock
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
