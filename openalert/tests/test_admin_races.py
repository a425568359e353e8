"""What somebody else changes between the check of an admin's page and its saving: it is told, and nothing is saved."""

from threading import Thread

import pytest
from django.db import connection
from unfold.mixins import nested_inlines_model_admin as unfolds

from alerts import rulebook
from alerts.models import IntegrationRule
from alerts.tests.factories import IntegrationFactory, RuleFactory
from escalations import policies
from escalations.models import EscalationPolicy, RoutingRule
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, StepFactory
from openalert.admin_order import CHANGED_MEANWHILE
from openalert.models import AuditEntry
from openalert.tests.admin_pages import messages, page, rows
from teams import rotations
from teams.models import Layer, Schedule, Team
from teams.tests.factories import LayerFactory, MembershipFactory, ScheduleFactory, TeamFactory


@pytest.fixture
def meanwhile(monkeypatch, transactional_db):
    """Takes what somebody else does, on a connection of their own, once the next form is checked and not yet saved."""

    def arrange(act):
        def run():
            try:
                act()
            finally:
                connection.close()

        def checked_and_then(formsets, check=unfolds.nested_all_valid):
            is_valid = check(formsets)
            monkeypatch.setattr(unfolds, "nested_all_valid", check)
            other = Thread(target=run)
            other.start()
            other.join()
            return is_valid

        monkeypatch.setattr(unfolds, "nested_all_valid", checked_and_then)

    return arrange


def require_told(response):
    assert response.status_code == 200
    assert response.content.decode().count(CHANGED_MEANWHILE) == 1


def test_layer_is_removed(administrator, client, meanwhile):
    schedule = ScheduleFactory(name="Days", time_zone="UTC")
    low, high = (LayerFactory(schedule=schedule) for _ in range(2))
    shown = [
        {"id": layer.pk, "schedule": schedule.pk, "position": place} for layer, place in ((low, 2), (high, 1))
    ]
    form = {"team": schedule.team_id, "name": "Nights", "time_zone": "Asia/Tokyo"}
    form |= rows("layers", shown) | rows("overrides", [])
    address = page("teams_schedule_change", schedule.pk)
    meanwhile(lambda: rotations.remove_layer(layer_id=low.pk))
    require_told(client.post(address, form))
    assert Schedule.objects.values_list("name", "time_zone").get() == ("Days", "UTC")
    assert list(Layer.objects.filter(replaced_at=None).values_list("name", "position")) == [(high.name, 0)]
    assert not AuditEntry.objects.filter(object_type="teams.schedule", action="changed").exists()


@pytest.mark.parametrize("change", [{"severities": ["medium"]}, {"position": 2}, {"DELETE": "on"}])
def test_routing_rule_is_removed(administrator, client, meanwhile, change):
    team = TeamFactory(name="Payments")
    first, second = (RoutingRuleFactory(team=team, severities=[name]) for name in ("critical", "high"))
    shown = [
        {"id": rule.pk, "team": team.pk, "position": rule.position + 1, "policy": rule.policy_id}
        | {"severities": rule.severities, "service": ""}
        for rule in (first, second)
    ]
    shown[0] |= change
    form = {"name": "Renamed", "time_zone": "UTC", **rows("memberships", []), **rows("routing_rules", shown)}
    meanwhile(lambda: RoutingRule.objects.get(pk=first.pk).delete())
    require_told(client.post(page("teams_team_change", team.pk), form))
    assert Team.objects.get().name == "Payments"
    assert [rule.pk for rule in RoutingRule.objects.all()] == [second.pk]
    told = AuditEntry.objects.filter(object_type="escalations.routingrule", action="deleted")
    assert told.count() == 1  # by the other person


def test_routing_rule_is_removed_while_its_own_page_is_saved(administrator, client, meanwhile):
    rule = RoutingRuleFactory(severities=["high"])
    form = {"severities": ["low"], "policy": rule.policy_id, "position": 1}
    meanwhile(lambda: RoutingRule.objects.get(pk=rule.pk).delete())
    response = client.post(page("escalations_routingrule_change", rule.pk), form, follow=True)
    assert "doesn’t exist. Perhaps it was deleted?" in messages(response)
    assert not RoutingRule.objects.exists()


@pytest.mark.parametrize("change", [{"name": "renamed"}, {"position": 2}, {"DELETE": "on"}])
def test_rule_of_an_integration_is_removed(administrator, client, meanwhile, change):
    integration = IntegrationFactory(name="Shop")
    made = [
        RuleFactory(integration=integration, position=place, name=name)
        for place, name in enumerate(("first", "second"))
    ]
    shown = [
        {"id": rule.pk, "integration": integration.pk, "position": rule.position + 1}
        | {"name": rule.name, "is_enabled": "on"}
        for rule in made
    ]
    shown[0] |= change
    form = {
        "service": integration.service_id,
        "name": "Renamed",
        "source": integration.source,
        "is_enabled": "on",
        "grouping": "name",
        "grouping_window_minutes": 60,
        **rows("rules", shown),
    }
    meanwhile(lambda: rulebook.remove(made[0].pk))
    require_told(client.post(page("alerts_integration_change", integration.pk), form))
    integration.refresh_from_db()
    assert integration.name == "Shop"
    assert list(IntegrationRule.objects.values_list("name", "position")) == [("second", 0)]


@pytest.mark.parametrize("what", ["removed", "added", "written anew"])
def test_step_is_changed(administrator, client, meanwhile, what):
    team = TeamFactory()
    people = [MembershipFactory(team=team).user for _ in range(2)]
    policy = PolicyFactory(team=team, name="Nights", levels=[[person] for person in people])
    steps = list(policy.steps.order_by("position"))
    shown = [
        {"id": step.pk, "policy": policy.pk, "position": place, "delay_seconds": 60}
        | {"targets": f"user:{person.pk}"}
        for step, person, place in zip(steps, people, (2, 1), strict=True)
    ]
    acts = {
        "removed": steps[1].delete,
        "added": lambda: StepFactory(policy=policy, position=2, targets=[people[0]]),
        "written anew": lambda: policies.save_policy(EscalationPolicy.objects.get(pk=policy.pk), steps=[]),
    }
    meanwhile(acts[what])
    form = {"name": "Renamed", "description": "", "repeat_count": 1, "acknowledge_timeout_minutes": ""}
    address = page("escalations_escalationpolicy_change", policy.pk)
    require_told(client.post(address, form | rows("steps", shown)))
    policy.refresh_from_db()
    assert policy.name == "Nights"
    assert policy.steps.count() == {"removed": 1, "added": 3, "written anew": 0}[what]
