"""Rows of the escalations app for tests. They are written as they are: nobody is paged."""

from datetime import timedelta

import factory
from django.utils import timezone

from escalations.enums import RunStatus, TargetKind
from escalations.models import (
    EscalationPolicy,
    EscalationRun,
    EscalationStep,
    PagingSettings,
    RoutingRule,
    StepTarget,
)
from escalations.snapshot import of_policy
from incidents.tests.factories import IncidentFactory
from teams.models import Schedule, Team
from teams.tests.factories import TeamFactory, UserFactory


class PolicyFactory(factory.django.DjangoModelFactory):
    """A policy without steps; `levels=[[ana], [schedule, bo], [team]]` adds a step for each list of targets.

    `levels__delay_minutes`, or `levels__delay_seconds`, is the wait after each of them; a target that is a tuple names
    its kind, like (TargetKind.MANAGER, team).
    """

    class Meta:
        model = EscalationPolicy
        skip_postgeneration_save = True

    team = factory.SubFactory(TeamFactory)
    name = factory.Sequence(lambda n: f"Policy {n}")

    @factory.post_generation
    def levels(self, create, extracted, **kwargs):
        for targets in extracted or []:
            StepFactory(policy=self, targets=targets, **kwargs)


class StepFactory(factory.django.DjangoModelFactory):
    """The policy's next step; `targets` are people, schedules and teams."""

    class Meta:
        model = EscalationStep
        skip_postgeneration_save = True

    class Params:
        delay_minutes = 5

    policy = factory.SubFactory(PolicyFactory)
    position = factory.LazyAttribute(lambda step: step.policy.steps.count())
    delay_seconds = factory.LazyAttribute(lambda step: step.delay_minutes * 60)

    @factory.post_generation
    def targets(self, create, extracted, **kwargs):
        kinds = {Schedule: TargetKind.SCHEDULE, Team: TargetKind.TEAM}
        # On a clock that stands still they would have no order.
        for place, target in enumerate(extracted or []):
            kind, row = (
                target if isinstance(target, tuple) else (kinds.get(type(target), TargetKind.USER), target)
            )
            at = timezone.now() + timedelta(microseconds=place)
            StepTarget.objects.create(step=self, kind=kind, created_at=at, **{kind.field: row})


class TargetFactory(factory.django.DjangoModelFactory):
    """A person as a step's target."""

    class Meta:
        model = StepTarget

    step = factory.SubFactory(StepFactory)
    kind = TargetKind.USER
    user = factory.SubFactory(UserFactory)


class RoutingRuleFactory(factory.django.DjangoModelFactory):
    """The team's next rule: any service, any severity, a policy of the same team."""

    class Meta:
        model = RoutingRule

    team = factory.SubFactory(TeamFactory)
    position = factory.LazyAttribute(lambda rule: rule.team.routing_rules.count())
    policy = factory.SubFactory(PolicyFactory, team=factory.SelfAttribute("..team"))


class PagingSettingsFactory(factory.django.DjangoModelFactory):
    """A team that has decided on a default policy."""

    class Meta:
        model = PagingSettings

    team = factory.SubFactory(TeamFactory)
    default_policy = factory.SubFactory(PolicyFactory, team=factory.SelfAttribute("..team"))


class RunFactory(factory.django.DjangoModelFactory):
    """A running escalation of an incident by a policy of its team, due now."""

    class Meta:
        model = EscalationRun

    class Params:
        is_running = factory.LazyAttribute(lambda run: run.status == RunStatus.RUNNING)

    incident = factory.SubFactory(IncidentFactory)
    policy = factory.SubFactory(PolicyFactory, team=factory.SelfAttribute("..incident.service.team"))
    status = RunStatus.RUNNING
    snapshot = factory.LazyAttribute(lambda run: of_policy(run.policy))
    priority = factory.LazyAttribute(lambda run: run.incident.severity.rank)
    lane = factory.LazyAttribute(lambda run: run.incident.service.team_id)
    due_at = factory.LazyAttribute(lambda run: timezone.now() if run.is_running else None)
    ended_at = factory.LazyAttribute(lambda run: None if run.is_running else timezone.now())
