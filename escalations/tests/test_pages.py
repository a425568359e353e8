"""Pages about policies, routing and previews: members see them, managers change them."""

import pytest
from django.urls import reverse

from escalations.enums import TargetKind
from escalations.models import EscalationPolicy, PagingSettings, RoutingRule
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ScheduleFactory, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def cast():
    return Cast()


@pytest.fixture
def pages(cast):
    return Pages(cast)


@pytest.fixture
def policy(cast):
    schedule = ScheduleFactory(team=cast.team, name="First line", on_call=[cast.responder])
    return PolicyFactory(
        team=cast.team,
        name="Urgent",
        levels=[[schedule, (TargetKind.ROUND_ROBIN, schedule)], [cast.team]],
        levels__delay_seconds=90,
    )


def changes(pages, path):
    """What each of the cast is answered by a page that only managers use."""
    return pages.statuses("get", path) == pages.answers(200, 403, 403, 404)


def test_members_see_policies_and_rules_of_their_teams(cast, pages, policy):
    RoutingRuleFactory(team=cast.team, policy=policy, severities=[Severity.CRITICAL], labels={"env": "prod"})
    path = reverse("escalation")
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 200)
    text = pages.text("observer", path)
    for words in (
        "Urgent",
        "First line, First line, in turn, then 1 min 30 s",
        "any service · critical · env = prod",
    ):
        assert words in text
    assert "Nobody is paged" in text
    assert "New policy" not in text
    assert "Urgent" not in pages.text("outsider", path)
    PagingSettingsFactory(team=cast.team, default_policy=policy)
    text = pages.text("manager", path)
    assert "Nobody is paged" not in text
    assert "New policy" in text and "New rule" in text


def test_the_page_of_all_takes_the_same_queries_however_much_there_is(cast, pages):
    def add():
        schedule = ScheduleFactory(team=cast.team)
        added = PolicyFactory(team=cast.team, levels=[[schedule, UserFactory()], [cast.team]])
        RoutingRuleFactory(team=cast.team, policy=added, service=ServiceFactory(team=cast.team))

    add()
    one = pages.count_queries("manager", reverse("escalation"))
    add()
    add()
    assert pages.count_queries("manager", reverse("escalation")) == one


def test_a_policy_tells_whom_it_reaches_now(cast, pages, policy):
    RoutingRuleFactory(team=cast.team, policy=policy)
    PagingSettingsFactory(team=cast.team, default_policy=policy)
    path = reverse("policy", args=[policy.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    response = pages.client("observer").get(path)
    assert [(s.number, s.after_in_words) for s in response.context["steps"]] == [
        (1, "at once"),
        (2, "after 1 min 30 s"),
    ]
    for words in (
        "Now: Rui Responder",
        "Everybody in Payments",
        "any service · any severity",
        "What no rule takes",
    ):
        assert words in response.text
    assert "Remove" not in response.text


def given(*steps, **fields):
    """A policy's form; a step is (targets, minutes, seconds)."""
    data = {"name": "Nights", "repeat_count": 2, "description": "", "steps": len(steps), **fields}
    for place, (targets, minutes, seconds) in enumerate(steps):
        data |= {
            f"{place}-targets": targets,
            f"{place}-minutes": minutes,
            f"{place}-seconds": seconds,
        }
    return data


def test_managers_write_a_policy_with_its_steps(cast, pages):
    schedule = ScheduleFactory(team=cast.team)
    path = reverse("policy-new", args=[cast.team.pk])
    assert changes(pages, path)
    data = given(
        ([f"round_robin:{schedule.pk}", f"user:{cast.responder.pk}"], 0, 30),
        ([f"manager:{cast.team.pk}"], 5, ""),
        acknowledge_timeout_minutes=45,
    )
    answer = pages.client("manager").post(path, data)
    written = EscalationPolicy.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, reverse("policy", args=[written.pk]))
    assert (written.name, written.repeat_count, written.acknowledge_timeout_minutes) == ("Nights", 2, 45)
    assert [(s.delay_seconds, sorted(map(str, s.targets.all()))) for s in written.steps.all()] == [
        (30, sorted(["Rui Responder", f"{schedule}, in turn"])),
        (300, ["Managers of Payments"]),
    ]


def test_an_edit_shows_what_there_is_and_saves_it(cast, pages, policy):
    stranger = UserFactory(name="Stella Stranger")
    policy.steps.first().targets.create(kind=TargetKind.USER, user=stranger)
    path = reverse("policy-edit", args=[policy.pk])
    assert changes(pages, path)
    response = pages.client("manager").get(path)
    assert "Stella Stranger" in response.text  # of no team of ours, and yet a target
    steps = response.context["steps"]
    data = given(
        *[(s.initial["targets"], s.initial["minutes"], s.initial["seconds"]) for s in steps], name="Urgent"
    )
    assert pages.client("manager").post(path, data).status_code == 302
    policy.refresh_from_db()
    assert [(s.delay_seconds, s.targets.count()) for s in policy.steps.all()] == [(90, 3), (90, 1)]


@pytest.mark.parametrize(
    ("wish", "order"),
    [
        ("add", ["a", "b", ""]),
        ("remove-0", ["b"]),
        ("down-0", ["b", "a"]),
        ("up-1", ["b", "a"]),
        ("up-0", ["a", "b"]),
        ("down-1", ["a", "b"]),
        ("remove-7", ["a", "b"]),
        ("remove-x", ["a", "b"]),
        ("jump", ["a", "b"]),
    ],
)
def test_steps_are_added_moved_and_removed_before_anything_is_saved(cast, pages, policy, wish, order):
    targets = {"a": [f"user:{cast.manager.pk}"], "b": [f"team:{cast.team.pk}"], "": []}
    path = reverse("policy-edit", args=[policy.pk])
    data = given((targets["a"], 1, 2), (targets["b"], 3, 4), name="Other", do=wish)
    response = pages.client("manager").post(path, data)
    assert response.status_code == 200
    assert [step["targets"].value() for step in response.context["steps"]] == [
        targets[name] for name in order
    ]
    assert 'value="Other"' in response.text
    policy.refresh_from_db()
    assert (policy.name, policy.steps.count()) == ("Urgent", 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda cast: {}, "without one, nobody is paged"),
        (lambda cast: given(), "without one, nobody is paged"),
        (lambda cast: given(([], 5, 0)), "Say whom to page."),
        (lambda cast: given(([f"user:{cast.outsider.pk}"], 5, 0)), "is not one of the available choices"),
        (lambda cast: given((["nonsense"], 5, 0)), "is not one of the available choices"),
        (lambda cast: given(([f"team:{cast.team.pk}"], 1441, 0)), "less than or equal to 1440"),
        (lambda cast: given(([f"team:{cast.team.pk}"], 1440, 1)), "at most a day"),
        (lambda cast: given(([f"team:{cast.team.pk}"], 1, 60)), "less than or equal to 59"),
        (lambda cast: given(([f"team:{cast.team.pk}"], "soon", 0)), "Enter a whole number"),
        (lambda cast: given(([f"team:{cast.team.pk}"], 1, 0), repeat_count=21), "less than or equal to 20"),
        (lambda cast: given(([f"team:{cast.team.pk}"], 1, 0), name=""), "This field is required"),
        (
            lambda cast: given(([f"team:{cast.team.pk}"], 1, 0), name="urgent"),
            "has a policy of this name already",
        ),
        (
            lambda cast: given(([f"team:{cast.team.pk}"], 1, 0), steps="9" * 30),
            "without one, nobody is paged",
        ),
        (
            lambda cast: given(([f"team:{cast.team.pk}"], 1, 0), acknowledge_timeout_minutes=0),
            "greater than or equal to 1",
        ),
    ],
)
def test_what_is_wrong_with_a_policy(cast, pages, policy, change, words):
    answer = pages.client("manager").post(reverse("policy-new", args=[cast.team.pk]), change(cast))
    assert (answer.status_code, words in answer.text) == (422, True)
    assert EscalationPolicy.objects.count() == 1


def test_a_policy_is_removed_unless_it_is_in_use(cast, pages, policy):
    path = reverse("policy-remove", args=[policy.pk])
    assert pages.statuses("post", path) == pages.answers(302, 403, 403, 404)
    rule = RoutingRuleFactory(team=cast.team, policy=policy)
    answer = pages.client("manager").post(path, headers=HTMX)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "in_use")
    rule.delete()
    pages.client("manager").post(path)
    assert not EscalationPolicy.objects.exists()


# Routing


def rule_form(chosen, **fields):
    return {
        "policy": chosen.pk,
        "service": "",
        "labels": "",
        "from_": "",
        "until": "",
        "time_zone": "",
        **fields,
    }


def test_managers_write_rules(cast, pages, policy):
    service = ServiceFactory(team=cast.team)
    new = reverse("routing-rule-new", args=[cast.team.pk])
    assert changes(pages, new)
    data = rule_form(
        policy,
        service=service.pk,
        severities=["critical", "high"],
        labels="env = prod\n\napp",
        weekdays=["sat"],
        from_="22:00",
        until="06:00",
        time_zone="Europe/Berlin",
    )
    client = pages.client("manager")
    assert client.post(new, data)["Location"] == reverse("escalation")
    rule = RoutingRule.objects.get()
    assert (rule.position, rule.service, rule.severities, rule.labels, rule.hours, rule.time_zone) == (
        0,
        service,
        ["critical", "high"],
        {"env": "prod", "app": ""},
        {"from": "22:00", "until": "06:00", "weekdays": ["sat"]},
        "Europe/Berlin",
    )
    edit = reverse("routing-rule", args=[rule.pk])
    assert changes(pages, edit)
    seen = client.get(edit)
    assert all(words in seen.text for words in ("app\nenv=prod", 'value="22:00"', 'value="06:00"'))
    client.post(edit, rule_form(policy, weekdays=["sun"]))
    rule.refresh_from_db()
    assert (rule.labels, rule.severities, rule.service) == ({}, [], None)
    assert rule.hours == {"from": "00:00", "until": "00:00", "weekdays": ["sun"]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"from_": "09:00"}, "Give both times, or none."),
        ({"until": "09:00"}, "Give both times, or none."),
        ({"from_": "9 o'clock", "until": "10:00"}, "Enter a valid time"),
        ({"labels": "=prod"}, "has no name"),
        ({"labels": "x" * 300}, "at most 256 characters"),
        ({"severities": ["worst"]}, "Select a valid choice"),
        ({"time_zone": "Mars/Base"}, "Select a valid choice"),
        ({"policy": ""}, "This field is required"),
    ],
)
def test_what_is_wrong_with_a_rule(cast, pages, policy, fields, words):
    answer = pages.client("manager").post(
        reverse("routing-rule-new", args=[cast.team.pk]), rule_form(policy, **fields)
    )
    assert (answer.status_code, words in answer.text) == (422, True)
    assert not RoutingRule.objects.exists()


def test_rules_are_moved_and_removed(cast, pages, policy):
    rules = [RoutingRuleFactory(team=cast.team, policy=policy) for _ in range(3)]
    move = reverse("routing-rule-move", args=[rules[0].pk])
    assert pages.statuses("post", move, {"by": "down"}) == pages.answers(302, 403, 403, 404)

    def order():
        return [rules.index(rule) for rule in RoutingRule.objects.order_by("position")]

    client = pages.client("manager")
    for by, expected in (("down", [1, 0, 2]), ("down", [1, 2, 0]), ("down", [1, 2, 0]), ("up", [1, 0, 2])):
        client.post(move, {"by": by})
        assert order() == expected
    remove = reverse("routing-rule-remove", args=[rules[1].pk])
    assert pages.statuses("post", remove) == pages.answers(302, 403, 403, 404)
    client.post(remove)
    assert order() == [0, 2]


# What the team has decided


def test_managers_decide_on_the_default_and_the_working_hours(cast, pages, policy):
    path = reverse("paging-settings", args=[cast.team.pk])
    assert changes(pages, path)
    hours = {"mon_from": "09:00", "mon_until": "17:30", "fri_from": "22:00", "fri_until": "02:00"}
    client = pages.client("manager")
    client.post(path, {"default_policy": policy.pk, "low_urgency_waits": "on", "time_zone": "", **hours})
    decided = PagingSettings.objects.get()
    assert (decided.default_policy, decided.low_urgency_waits, decided.working_hours) == (
        policy,
        True,
        {"mon": {"from": "09:00", "until": "17:30"}, "fri": {"from": "22:00", "until": "02:00"}},
    )
    assert 'value="17:30"' in client.get(path).text
    for wrong, words in (
        ({"low_urgency_waits": "on"}, "Say when the team works"),
        ({"mon_from": "09:00"}, "Give both times, or none."),
        ({"default_policy": PolicyFactory().pk}, "Select a valid choice"),
    ):
        answer = client.post(path, {"time_zone": "", **wrong})
        assert (answer.status_code, words in answer.text) == (422, True)
    decided.refresh_from_db()
    assert decided.low_urgency_waits


# Previews


def test_a_preview_of_a_service(cast, pages, policy):
    service = ServiceFactory(team=cast.team)
    path = reverse("service-preview", args=[service.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    assert "Nobody would be paged." in pages.text("observer", path)
    RoutingRuleFactory(team=cast.team, policy=policy, labels={"env": "prod"})
    text = pages.text("observer", f"{path}?severity=high&at=2026-03-07T03:10&labels=env%3Dprod")
    for words in (
        "Rui Responder",
        "at once in the app and by email",
        "Mara Manager would be told",
        "by rule 1",
    ):
        assert words in text
    for wrong in (
        "severity=worst",
        "severity=high&at=soon",
        "severity=high&labels=%3Dx",
        "severity=high&at=9999-01-01T00:00",
    ):
        answer = pages.client("observer").get(f"{path}?{wrong}")
        assert (answer.status_code, "errorlist" in answer.text) == (422, True)


def test_names_are_escaped(cast, pages, policy):
    policy.name = "<b>Urgent</b>"
    policy.save()
    RoutingRuleFactory(team=cast.team, policy=policy, labels={"<i>": "<u>"})
    for path in (
        reverse("escalation"),
        reverse("policy", args=[policy.pk]),
        reverse("policy-edit", args=[policy.pk]),
    ):
        text = pages.text("manager", path)
        assert not any(tag in text for tag in ("<b>Urgent", "<i> =", "<u>"))
