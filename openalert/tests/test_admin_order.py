"""Rows of the admin that have an order: what numbers mean, what is saved, and what goes on as it began."""

import pytest
from django.utils import timezone

from alerts.models import IntegrationRule
from alerts.tests.factories import IntegrationFactory, RuleFactory
from escalations.models import EscalationStep, RoutingRule
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, RunFactory
from openalert.models import AuditEntry
from openalert.tests.admin_pages import messages, page, rows
from openalert.tests.browser import note_complaints, running_browser, sign_in, wait_until
from openalert.tests.programs import needs
from teams import oncall
from teams.enums import Role
from teams.models import Schedule, User
from teams.tests.factories import (
    LayerFactory,
    MembershipFactory,
    ScheduleFactory,
    ServiceFactory,
    TeamFactory,
    UserFactory,
)

PREFIX = "steps"


@pytest.fixture
def policy(db):
    """Pages ana, then bo, cy and dan."""
    team = TeamFactory(name="Payments")
    people = [MembershipFactory(team=team, user__name=name).user for name in ("ana", "bo", "cy", "dan")]
    return PolicyFactory(team=team, name="Nights", levels=[[person] for person in people])


def stored_steps(policy, **changes):
    """A row for each step as the page shows it; `changes` by the name of whom it pages."""
    found = []
    for step in policy.steps.order_by("position"):
        target = step.targets.get()
        values = {
            "id": step.pk,
            "policy": policy.pk,
            "position": step.position + 1,
            "targets": f"user:{target.user_id}",
            "delay_seconds": step.delay_seconds,
        }
        found.append(values | changes.get(target.user.name, {}))
    return found


def save_steps(client, policy, existing, new=()):
    values = {"name": policy.name, "description": "", "repeat_count": 1, "acknowledge_timeout_minutes": ""}
    address = page("escalations_escalationpolicy_change", policy.pk)
    return client.post(address, rows(PREFIX, existing, new, **values))


def paged(policy):
    return [
        "+".join(target.user.name for target in step.targets.all())
        for step in EscalationStep.objects.filter(policy=policy).order_by("position")
    ]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"ana": 2, "bo": 3, "cy": 1}, "cy ana bo dan"),  # as dragging writes them
        ({"dan": 1}, "dan ana bo cy"),
        ({"ana": 4}, "bo cy dan ana"),
        ({"ana": 99}, "bo cy dan ana"),
        ({"ana": ""}, "bo cy dan ana"),
        ({"cy": 1, "dan": 1}, "cy dan ana bo"),
        ({"bo": 3, "cy": 2}, "ana cy bo dan"),
    ],
)
def test_numbers_are_places(administrator, client, policy, numbers, expected):
    changes = {name: {"position": number} for name, number in numbers.items()}
    assert save_steps(client, policy, stored_steps(policy, **changes)).status_code == 302
    assert paged(policy) == expected.split()
    assert [step.position for step in policy.steps.order_by("position")] == [0, 1, 2, 3]


def test_steps_are_added_moved_and_deleted_in_one_save(administrator, client, policy):
    run = RunFactory(policy=policy)
    snapshot = run.snapshot
    eve = MembershipFactory(team=policy.team, user__name="eve").user
    fay = MembershipFactory(team=policy.team, user__name="fay").user
    changes = {"ana": {"DELETE": "on"}, "bo": {"position": 3}, "cy": {"position": 2, "delay_seconds": 60}}
    new = [
        {"policy": policy.pk, "position": "", "targets": f"user:{eve.pk}", "delay_seconds": 300},
        {"policy": policy.pk, "position": 1, "targets": f"user:{fay.pk}", "delay_seconds": 0},
    ]
    assert save_steps(client, policy, stored_steps(policy, **changes), new).status_code == 302
    assert paged(policy) == ["fay", "cy", "bo", "dan", "eve"]
    assert [step.delay_seconds for step in policy.steps.order_by("position")] == [0, 60, 300, 300, 300]
    # As on the policy's page: what runs goes on as it began, and who did it is told.
    run.refresh_from_db()
    assert run.snapshot == snapshot
    assert AuditEntry.objects.filter(
        actor_id=administrator.pk, object_type="escalations.escalationstep"
    ).exists()


def test_nothing_is_saved_of_steps_that_are_wrong(administrator, client, policy):
    stranger = MembershipFactory().user
    wrong = [
        (stored_steps(policy, bo={"targets": f"user:{stranger.pk}", "position": 1}), "Select a valid choice"),
        (stored_steps(policy, bo={"position": 0}), "greater than or equal to 1"),
        (stored_steps(policy, bo={"targets": []}), "Say whom to page"),
        ([row | {"DELETE": "on"} for row in stored_steps(policy)], "Leave a step"),
    ]
    for steps, words in wrong:
        response = save_steps(client, policy, steps)
        assert response.status_code == 200
        assert words in response.content.decode()
    stale = stored_steps(policy, dan={"position": 1})
    assert save_steps(client, policy, stored_steps(policy, cy={"position": 1})).status_code == 302
    assert "Somebody has changed these rows" in save_steps(client, policy, stale).content.decode()
    assert paged(policy) == ["cy", "ana", "bo", "dan"]


def test_new_policy_gets_its_steps_after_it_is_saved(administrator, client):
    values = {"team": TeamFactory().pk, "name": "Days", "repeat_count": 1}
    response = client.post(page("escalations_escalationpolicy_add"), values, follow=True)
    assert "Add its steps" in messages(response)
    assert f"{PREFIX}-TOTAL_FORMS" in response.content.decode()


def stored_rules(team, **changes):
    return [
        {"id": rule.pk, "team": team.pk, "position": rule.position + 1, "policy": rule.policy_id}
        | {"severities": rule.severities, "service": rule.service_id or ""}
        | changes.get(rule.severities[0], {})
        for rule in team.routing_rules.order_by("position")
    ]


def tried(team):
    return [(rule.position, *rule.severities) for rule in RoutingRule.objects.filter(team=team)]


def test_routing_rules_are_put_in_order_on_their_teams_page(administrator, client):
    team = TeamFactory()
    for severity in ("critical", "high", "medium"):
        RoutingRuleFactory(team=team, severities=[severity])
    policy = team.routing_rules.first().policy_id
    elsewhere = ServiceFactory()
    address = page("teams_team_change", team.pk)
    values = {"name": team.name, "time_zone": "UTC", **rows("memberships", [])}

    def save(existing, new=()):
        return client.post(address, {**values, **rows("routing_rules", existing, new)})

    assert client.get(address).status_code == 200
    existing = stored_rules(team, critical={"DELETE": "on"}, medium={"position": 1})
    new = [{"team": team.pk, "position": 2, "severities": ["low"], "policy": policy}]
    refused = save(existing, [new[0] | {"service": elsewhere.pk}])
    assert "Select a valid choice" in refused.content.decode()
    # Added by somebody else meanwhile: it is not lost, and comes last.
    RoutingRuleFactory(team=team, severities=["critical", "low"])
    assert save(existing, new).status_code == 302
    assert tried(team) == [(0, "medium"), (1, "low"), (2, "high"), (3, "critical", "low")]


def test_rule_is_put_in_its_place_on_its_own_page(administrator, client):
    team = TeamFactory()
    rules = [RoutingRuleFactory(team=team, severities=[name]) for name in ("critical", "high", "medium")]

    def save(rule, position):
        values = {"severities": rule.severities, "policy": rule.policy_id, "position": position}
        return client.post(page("escalations_routingrule_change", rule.pk), values).status_code

    assert save(rules[2], 1) == 302
    assert tried(team) == [(0, "medium"), (1, "critical"), (2, "high")]
    assert save(rules[2], "") == 302
    assert tried(team) == [(0, "critical"), (1, "high"), (2, "medium")]
    assert save(rules[1], 2) == 302
    assert tried(team) == [(0, "critical"), (1, "high"), (2, "medium")]


def test_rules_of_an_integration_are_put_in_order_switched_and_removed(administrator, client):
    integration = IntegrationFactory()
    made = [
        RuleFactory(integration=integration, position=number, name=name)
        for number, name in enumerate(("first", "second", "third"))
    ]
    address = page("alerts_integration_change", integration.pk)
    values = {
        "service": integration.service_id,
        "name": integration.name,
        "source": integration.source,
        "is_enabled": "on",
        "grouping": "name",
        "grouping_window_minutes": 60,
    }
    shown = {
        rule.name: {"id": rule.pk, "integration": integration.pk, "position": rule.position + 1}
        | {"name": rule.name, "is_enabled": "on"}
        for rule in made
    }
    # A rule that can no longer be read keeps nobody from putting it elsewhere.
    IntegrationRule.objects.filter(pk=made[2].pk).update(conditions=[{"test": "gone"}])
    shown["third"]["position"] = 1
    shown["second"] |= {"name": "renamed", "is_enabled": ""}
    shown["first"]["DELETE"] = "on"
    assert client.get(address).status_code == 200
    assert client.post(address, values | rows("rules", list(shown.values()))).status_code == 302
    assert list(integration.rules.values_list("position", "name", "is_enabled")) == [
        (0, "third", True),
        (1, "renamed", False),
    ]
    faulty = {"id": made[2].pk, "integration": integration.pk, "position": 1, "name": "other"}
    second = shown["second"] | {"position": 2}
    response = client.post(address, values | rows("rules", [faulty, second]))
    assert response.status_code == 200
    assert integration.rules.filter(name="third").exists()


def test_layers_are_put_in_order_and_what_has_been_stays(administrator, client):
    schedule = ScheduleFactory()
    people = [MembershipFactory(team=schedule.team).user for _ in range(2)]
    low, high = (LayerFactory(schedule=schedule, participants=[person]) for person in people)
    before = timezone.now()
    assert oncall.on_call(schedule, before) == [people[1]]
    address = page("teams_schedule_change", schedule.pk)
    assert client.get(address).status_code == 200
    values = {"team": schedule.team_id, "name": schedule.name, "time_zone": "Europe/Berlin"}
    shown = [
        {"id": low.pk, "schedule": schedule.pk, "position": 2},
        {"id": high.pk, "schedule": schedule.pk, "position": 1},
    ]
    form = values | rows("layers", shown) | rows("overrides", [])
    assert client.post(address, form).status_code == 302
    schedule = Schedule.objects.get()
    in_force = schedule.layers.filter(replaced_at=None).order_by("position")
    assert [layer.identity for layer in in_force] == [high.pk, low.pk]
    assert oncall.on_call(schedule, timezone.now()) == [people[0]]
    assert oncall.on_call(schedule, before) == [people[1]]
    assert "Somebody has changed these rows" in client.post(address, form).content.decode()


@pytest.mark.parametrize("who", ["auditor", "manager"])
def test_only_who_may_change_rows_moves_them(client, policy, who):
    rule = RoutingRuleFactory(team=policy.team, policy=policy, severities=["low"])
    layer = LayerFactory(schedule__team=policy.team)
    is_manager = who == "manager"
    person = UserFactory(is_auditor=not is_manager)
    if is_manager:
        MembershipFactory(team=policy.team, user=person, role=Role.MANAGER)
    client.force_login(person)
    pages = {
        "steps": page("escalations_escalationpolicy_change", policy.pk),
        "routing_rules": page("teams_team_change", rule.team.pk),
        "layers": page("teams_schedule_change", layer.schedule.pk),
    }
    for prefix, address in pages.items():
        content = client.get(address).content.decode()
        assert (f'name="{prefix}-0-position"' in content) == ("x-sort:handle" in content) == is_manager
    response = save_steps(client, policy, stored_steps(policy, dan={"position": 1}))
    assert response.status_code == (302 if is_manager else 403)
    assert paged(policy) == (["dan", "ana", "bo", "cy"] if is_manager else ["ana", "bo", "cy", "dan"])


ORDER_ON_PAGE = (
    "[...document.querySelectorAll('#steps-data .original input[name$=-position]')].map((each) => each.value)"
)


@pytest.mark.timeout(240)
@needs("chromium")
def test_steps_are_dragged_and_numbered_in_a_browser(web, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    User.objects.create_superuser("root@example.org", "a lamp in the harbour", name="Root")
    team = TeamFactory(name="Payments")
    people = [MembershipFactory(team=team, user__name=name).user for name in ("ana", "bo", "cy", "dan")]
    policy = PolicyFactory(team=team, name="Nights", levels=[[person] for person in people])
    with running_browser() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 1400})
        complaints = note_complaints(tab)
        sign_in(tab, web.url, "root@example.org", "a lamp in the harbour")
        address = f"{web.url}{page('escalations_escalationpolicy_change', policy.pk)}"
        tab.goto(address)
        wait_until(tab, "document.querySelectorAll('.select2-selection').length > 0")
        rows_on_page = tab.locator("#steps-data > .original")
        handle = rows_on_page.nth(2).locator("[x-sort\\:handle]")
        handle.hover()
        tab.mouse.down()
        box = rows_on_page.nth(0).bounding_box()
        tab.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2, steps=10)
        tab.mouse.move(box["x"] + 30, box["y"] + 4, steps=10)
        tab.mouse.up()
        wait_until(tab, f"{ORDER_ON_PAGE}.join() === '1,2,3,4'")
        with tab.expect_navigation():
            tab.locator("[name=_continue]").first.click()
        assert paged(policy) == ["cy", "ana", "bo", "dan"]
        # By keyboard alone: the last step is to be the second.
        tab.locator("#steps-data > .original").nth(3).locator("input[name$=-position]").focus()
        tab.keyboard.press("Control+A")
        tab.keyboard.type("2")
        with tab.expect_navigation():
            tab.keyboard.press("Enter")
    assert paged(policy) == ["cy", "dan", "ana", "bo"]
    assert not complaints, "\n".join(complaints)


@pytest.mark.timeout(240)
@needs("chromium")
def test_on_a_phone_saving_comes_before_deleting(web, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # as above
    User.objects.create_superuser("root@example.org", "a lamp in the harbour", name="Root")
    policy = PolicyFactory(levels=[[UserFactory()]])
    with running_browser() as browser:
        tab = browser.new_page(viewport={"width": 360, "height": 780})
        sign_in(tab, web.url, "root@example.org", "a lamp in the harbour")
        tab.goto(f"{web.url}{page('escalations_escalationpolicy_change', policy.pk)}")
        save, delete = tab.locator("#submit-row [name=_save]"), tab.locator("#submit-row a[href$='/delete/']")
        assert save.bounding_box()["y"] < delete.bounding_box()["y"]
