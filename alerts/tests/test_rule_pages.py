"""The pages of an integration's rules: the list, the form, and what would become of recent alerts."""

import random
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from alerts import rulebook
from alerts.models import HeldAlert, IntegrationRule
from alerts.rule_forms import filled_in, is_shown_whole
from alerts.tests.factories import AlertFactory, HeldAlertFactory, IntegrationFactory, RuleFactory
from alerts.trials import MOST_BYTES, recent_alerts, suggested_fields
from incidents.tests.factories import IncidentFactory
from openalert.ids import uuid7
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
STAGING = {"test": "equals", "field": "labels.env", "value": "staging"}
DROP = {"do": "drop"}
LOW = {"do": "set_severity", "severity": "low"}


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


@pytest.fixture
def service(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


@pytest.fixture
def integration(service):
    return IntegrationFactory(service=service, name="Probes")


def page(integration, name="integration-rules", rule=None):
    return reverse(name, args=[integration.pk, *([rule.pk] if rule else [])])


def add(integration, name, conditions=(STAGING,), actions=(DROP,), **facts):
    return rulebook.add(integration, name=name, conditions=list(conditions), actions=list(actions), **facts)


def names(integration):
    return [rule.name for rule in integration.rules.order_by("position")]


def alert(integration, title, **facts):
    return AlertFactory(
        integration=integration, incident=IncidentFactory(service=integration.service), title=title, **facts
    )


def form(*rows, **changes):
    """What a browser sends; without changes a rule that drops what comes from staging."""
    rows = rows or ({"field": "labels.env", "test": "equals", "value": "staging"},)
    given = {
        "name": "No staging",
        "is_enabled": "on",
        "outcome": "drop",
        "conditions-TOTAL_FORMS": str(len(rows)),
        "conditions-INITIAL_FORMS": "0",
    }
    for number, row in enumerate(rows):
        given |= {f"conditions-{number}-{name}": value for name, value in row.items()}
    given |= changes
    return {name: value for name, value in given.items() if value is not None}


def always(**changes):
    return form(**{"conditions-TOTAL_FORMS": "0", **changes})


def faults(response):
    """By the field at which each is told."""
    assert response.status_code == 422
    found = {name: list(errors) for name, errors in response.context["form"].errors.items()}
    for number, row in enumerate(response.context["conditions"].forms):
        found |= {f"{number}.{name}": list(errors) for name, errors in row.errors.items()}
    together = list(response.context["conditions"].non_form_errors())
    return found | ({"conditions": together} if together else {})


def test_the_team_sees_rules_and_its_managers_change_them(pages, integration):
    rule = add(integration, "No staging")
    for name in ("integration-rules", "integration-held"):
        assert pages.statuses("get", page(integration, name)) == pages.answers(200, 200, 200, 404)
    assert pages.statuses("post", page(integration, "rule-new-try"), form()) == pages.answers(
        200, 200, 200, 404
    )
    assert pages.statuses("post", page(integration, "rule-try", rule), form()) == pages.answers(
        200, 200, 200, 404
    )
    for path in (
        page(integration, "rule-new"),
        page(integration, "rule-edit", rule),
        page(integration, "rule-remove", rule),
    ):
        assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
        assert pages.statuses("post", path, form()) == pages.answers(302, 403, 403, 404)
    for name in ("rule-move", "rule-switch"):
        assert pages.statuses("post", page(integration, name, rule)) == pages.answers(302, 403, 403, 404)
    for who, sees in (("manager", True), ("responder", False), ("observer", False)):
        text = pages.text(who, page(integration))
        assert [words in text for words in ("New rule", "Switch off", "Remove…")] == [sees] * 3
    assert names(integration) == ["No staging"]


def test_a_rule_is_of_the_integration_in_the_address(pages, integration):
    other = RuleFactory(integration__service=integration.service)
    manager = pages.client("manager")
    assert manager.get(page(integration, "rule-edit", other)).status_code == 404
    for name in ("rule-edit", "rule-try", "rule-move", "rule-switch", "rule-remove"):
        assert manager.post(page(integration, name, other), form()).status_code == 404
    assert IntegrationRule.objects.get() == other


def test_rules_are_told_in_words_with_how_often_they_had_a_say(pages, integration):
    search = ServiceFactory(team=integration.service.team, name="Search")
    alert(integration, "Slow", labels={"env": "staging"})
    alert(integration, "Calm")
    add(integration, "No <staging>")
    add(integration, "Away", [], [{"do": "set_service", "service": str(search.pk)}, LOW])
    add(integration, "Off", is_enabled=False)
    text = pages.text("observer", page(integration))
    assert "No &lt;staging&gt;" in text
    assert "When labels.env is “staging”: drop it." in text
    assert "Always: send it to Search and make it low." in text
    assert text.count("has a say in 1 of the last 2") == 2 and text.count("Switched off") == 1
    assert (
        "Of the last 2 alerts: <strong>1</strong> dropped, <strong>1</strong> sent to another service, "
        "<strong>1</strong> changed, <strong>0</strong> as they are." in text
    )
    assert "to Search instead of Checkout" in text
    assert [row.rules for row in pages.client("observer").get(page(integration)).context["trial"].rows] == [
        ["Away"],
        ["No <staging>"],
    ]


def test_without_rules_or_alerts_the_page_says_so(pages, integration):
    assert "No rules yet" in pages.text("observer", page(integration))
    add(integration, "No staging")
    assert "No alert has come in yet" in pages.text("observer", page(integration))
    alert(integration, "Calm")
    assert "Of the last 1 alert: all as they are." in pages.text("observer", page(integration))


def test_rules_are_moved_and_switched_in_place(pages, integration):
    a, _, c = (add(integration, name) for name in "abc")
    manager = pages.client("manager")
    response = manager.post(page(integration, "rule-move", c), {"by": "-1"}, headers=HTMX)
    assert (response.status_code, response.templates[0].name) == (200, "alerts/_rules.html")
    assert [shown.rule.name for shown in response.context["shown"]] == names(integration) == ["a", "c", "b"]
    response = manager.post(page(integration, "rule-move", a), {"by": "1"})
    assert response["Location"] == page(integration)
    assert names(integration) == ["c", "a", "b"]
    manager.post(page(integration, "rule-move", c), {"by": "-1"})
    assert names(integration) == ["c", "a", "b"]
    response = manager.post(page(integration, "rule-switch", a), {"on": "0"}, headers=HTMX)
    assert "Switched off" in response.text
    assert not IntegrationRule.objects.get(pk=a.pk).is_enabled
    manager.post(page(integration, "rule-switch", a), {"on": "1"})
    assert IntegrationRule.objects.get(pk=a.pk).is_enabled


def test_removing_asks_as_a_page_and_in_a_dialog(pages, integration):
    rule = add(integration, "No staging")
    manager, path = pages.client("manager"), page(integration, "rule-remove", rule)
    assert manager.get(path).templates[0].name == "alerts/rule_remove.html"
    assert manager.get(path, headers=HTMX).templates[0].name == "alerts/_rule_remove.html"
    assert names(integration) == ["No staging"]
    assert manager.post(path)["Location"] == page(integration)
    assert names(integration) == []
    assert "The rule No staging is removed" in pages.text("manager", page(integration))


CONDITIONS = [
    ({"field": "labels.env", "test": "equals", "value": " staging "}, STAGING),
    ({"field": "source", "test": "equals", "value": ""}, {"test": "equals", "field": "source", "value": ""}),
    (
        {"field": "title", "test": "differs", "value": "x"},
        {"test": "differs", "field": "title", "value": "x"},
    ),
    (
        {"field": "labels.env", "test": "in", "values": "a\r\n b \r\n\r\nc"},
        {"test": "in", "field": "labels.env", "values": ["a", "b", "c"]},
    ),
    (
        {"field": "title", "test": "matches", "pattern": " disk.*full$"},
        {"test": "matches", "field": "title", "pattern": " disk.*full$"},
    ),
    ({"field": "labels.x", "test": "exists"}, {"test": "exists", "field": "labels.x"}),
    ({"field": "metadata.a.b", "test": "missing"}, {"test": "missing", "field": "metadata.a.b"}),
    (
        {
            "field": "what is not shown does not count",
            "test": "hours",
            "starts": "22:00",
            "ends": "06:30",
            "weekdays": ["sat", "sun"],
            "time_zone": "Europe/Berlin",
        },
        {
            "test": "hours",
            "from": "22:00",
            "until": "06:30",
            "weekdays": ["sat", "sun"],
            "time_zone": "Europe/Berlin",
        },
    ),
    (
        {"test": "hours", "starts": "00:00", "ends": "00:00", "value": "x" * 5000},
        {"test": "hours", "from": "00:00", "until": "00:00", "weekdays": [], "time_zone": ""},
    ),
]
ACTIONS = [
    ({"outcome": "drop"}, [DROP]),
    ({"outcome": "drop", "severity": "low", "times": "1000", "title": "{"}, [DROP]),
    ({"severity": "low"}, [LOW]),
    ({"title": "{title} on {labels.host}"}, [{"do": "set_title", "title": "{title} on {labels.host}"}]),
    ({"by": "{labels.cluster}"}, [{"do": "group", "by": "{labels.cluster}"}]),
    ({"delay": "5"}, [{"do": "delay", "minutes": 5}]),
    ({"times": "3", "within": "10"}, [{"do": "threshold", "times": 3, "minutes": 10}]),
    ({"stop": "on", "severity": "low"}, [LOW, {"do": "stop"}]),
]


@pytest.mark.parametrize(("row", "condition"), CONDITIONS)
def test_each_kind_of_condition_is_saved_and_shown_again(pages, integration, row, condition):
    response = pages.client("manager").post(page(integration, "rule-new"), form(row, row))
    if condition["test"] == "hours":
        assert faults(response) == {"conditions": ["Give hours once; another rule can have others."]}
        response = pages.client("manager").post(page(integration, "rule-new"), form(row))
    assert response["Location"] == page(integration)
    rule = IntegrationRule.objects.get()
    assert rule.conditions[0] == condition
    again = pages.client("manager").get(page(integration, "rule-edit", rule))
    assert again.context["conditions"].initial == filled_in(rule)[1]
    assert is_shown_whole(rule) and again.context["is_shown_whole"]


@pytest.mark.parametrize(("changes", "actions"), ACTIONS)
def test_each_kind_of_action_is_saved_and_shown_again(pages, integration, changes, actions):
    given = always(**{"outcome": "take", **changes})
    assert pages.client("manager").post(page(integration, "rule-new"), given).status_code == 302
    rule = IntegrationRule.objects.get()
    assert (rule.name, rule.is_enabled, rule.conditions, rule.actions) == ("No staging", True, [], actions)
    assert is_shown_whole(rule)


def test_a_service_of_the_team_is_chosen(pages, integration):
    search, foreign = ServiceFactory(team=integration.service.team, name="Search"), ServiceFactory()
    path = page(integration, "rule-new")
    given = always(outcome="take", service=str(search.pk))
    assert pages.client("manager").post(path, given).status_code == 302
    rule = IntegrationRule.objects.get()
    assert (rule.to_service, rule.actions) == (
        search,
        [{"do": "set_service", "service": str(search.pk)}],
    )
    assert is_shown_whole(rule)
    assert foreign.name not in pages.text("manager", path)
    given = always(outcome="take", service=str(foreign.pk))
    assert list(faults(pages.client("manager").post(path, given))) == ["service"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (form(name=""), {"name": "This field is required."}),
        (form(name="x" * 121), {"name": "Ensure this value has at most 120 characters (it has 121)."}),
        (form({}), {"0.test": "This field is required."}),
        (form({"test": "equals", "field": "", "value": ""}), {"0.field": "This field is required."}),
        (form({"test": "exists", "field": "host"}), {"0.field": "“host” is no field: use one of title, name, source, severity, status, dedup_key, labels.<name>, metadata.<path>."}),
        (form({"test": "equals", "field": "severity", "value": "awful"}), {"0.value": "“awful” is none of critical, high, medium, low."}),
        (form({"test": "in", "field": "status", "values": "firing\nok"}), {"0.values": "“ok” is none of firing, resolved, acknowledged."}),
        (form({"test": "in", "field": "title", "values": " \n "}), {"0.values": "This field is required."}),
        (form({"test": "in", "field": "title", "values": "x\n" * 101}), {"0.values": "Give at most 100."}),
        (form({"test": "matches", "field": "title", "pattern": "("}), {"0.pattern": "This is not a pattern of RE2: missing ): (."}),
        (form({"test": "matches", "field": "title"}), {"0.pattern": "This field is required."}),
        (form({"test": "hours", "starts": "9", "ends": "10:00"}), {"0.starts": "Enter a valid time."}),
        (form({"test": "hours", "ends": "10:00"}), {"0.starts": "This field is required."}),
        (form({"test": "hours", "starts": "09:00", "ends": "10:00", "time_zone": "Mars"}), {"0.time_zone": "“Mars” is not a time zone."}),
        (form({"test": "exists", "field": "title"}, {"test": "exists", "field": "\0"}), {"1.field": "Null characters are not allowed."}),
        (form({"test": "constructor", "field": "title"}), {"0.test": "Select a valid choice. constructor is not one of the available choices."}),
        (always(outcome="take"), {"outcome": "Say what is to be done with it."}),
        (always(outcome=None), {"outcome": "This field is required."}),
        (always(outcome="take", title="{labels.host"), {"title": "A brace has no partner; write {{ or }} for the brace itself."}),
        (always(outcome="take", severity="low", by="{host}"), {"by": "“host” is no field: use one of title, name, source, severity, status, dedup_key, labels.<name>, metadata.<path>."}),
        (always(outcome="take", severity="awful"), {"severity": "Select a valid choice. awful is not one of the available choices."}),
        (always(outcome="take", service="5"), {"service": "“5” is not a valid UUID."}),
        (always(outcome="take", delay="0"), {"delay": "Ensure this value is greater than or equal to 1."}),
        (always(outcome="take", times="3"), {"within": "Give both, or neither."}),
        (always(outcome="take", within="3"), {"times": "Give both, or neither."}),
        (form(*[{"test": "exists", "field": "title"}] * 21), {"conditions": "Please submit at most 20 forms."}),
        ({"name": "x", "outcome": "drop"}, {"conditions": "ManagementForm data is missing or has been tampered with. Missing fields: conditions-TOTAL_FORMS, conditions-INITIAL_FORMS. You may need to file a bug report if the issue persists."}),
    ],
)  # fmt: skip
def test_faults_stand_at_their_fields_and_nothing_is_saved(pages, integration, given, expected):
    rule = add(integration, "a")
    before = IntegrationRule.objects.values().get()
    for path in (page(integration, "rule-new"), page(integration, "rule-edit", rule)):
        response = pages.client("manager").post(path, given)
        assert faults(response) == {name: [error] for name, error in expected.items()}
    assert IntegrationRule.objects.values().get() == before
    response = pages.client("manager").post(page(integration, "rule-new-try"), given)
    assert response.status_code == 200
    if given["name"] == "":  # which can wait
        assert "It is tried as soon as" not in response.text
        return
    [fault] = response.context["faults"]
    assert next(iter(expected.values())) in fault


def test_conditions_are_added_and_removed_without_losing_what_was_typed(pages, integration):
    manager, path = pages.client("manager"), page(integration, "rule-new")
    first = {"field": "title", "test": "matches", "pattern": "("}
    second = {"field": "", "test": "hours", "starts": "9", "weekdays": ["mon"]}
    response = manager.post(path, form(first, second, name="", severity="odd", add="1"))
    assert response.status_code == 200 and "errorlist" not in response.text
    shown = [row.initial for row in response.context["conditions"].forms]
    assert [row.get("pattern") for row in shown] == ["(", None, None]
    assert (shown[1]["starts"], shown[1]["weekdays"], shown[2]) == ("9", ["mon"], {})
    assert response.context["form"].initial["severity"] == "odd"
    response = manager.post(path, form(first, second, remove="0"))
    assert [row.initial["test"] for row in response.context["conditions"].forms] == ["hours"]
    response = manager.post(path, form(second, remove="0"))
    assert "it is for every alert" in response.text and response.context["conditions"].forms == []
    response = manager.post(path, form(*[first] * 20, add="1"))
    assert len(response.context["conditions"].forms) == 20
    assert not IntegrationRule.objects.exists()


def test_an_edit_keeps_the_rules_place(pages, integration):
    a, _ = add(integration, "a"), add(integration, "b")
    given = always(name="a2", is_enabled=None, outcome="take", severity="critical")
    assert pages.client("manager").post(page(integration, "rule-edit", a), given).status_code == 302
    found = integration.rules.get(pk=a.pk)
    assert (found.position, found.name, found.is_enabled, found.conditions) == (0, "a2", False, [])


def test_rules_that_programs_wrote_are_not_cut_by_surprise(pages, integration):
    for condition in (
        {"test": "in", "field": "title", "values": ["a\nb"]},
        {"test": "in", "field": "title", "values": ["a", ""]},
        {"test": "equals", "field": "title", "value": "a\nb"},
    ):
        rule = add(integration, "By program", [condition])
        assert not is_shown_whole(rule)
        assert "Not all of it can be shown here" in pages.text(
            "manager", page(integration, "rule-edit", rule)
        )


def test_a_rule_that_can_no_longer_be_read_is_told_and_can_be_put_right(pages, integration):
    rule = add(integration, "Old")
    IntegrationRule.objects.update(conditions=[{"test": "phase of the moon"}], actions=[{"do": "howl"}])
    alert(integration, "Calm")
    text = pages.text("manager", page(integration))
    assert "It cannot be read and is passed over: conditions.0.test: Invalid value" in text
    assert "all as they are" in text
    manager = pages.client("manager")
    switched = manager.post(page(integration, "rule-switch", rule), {"on": "0"}, headers=HTMX)
    assert (switched.status_code, "Invalid value" in switched.text) == (400, True)
    assert "Not all of it can be shown here" in pages.text("manager", page(integration, "rule-edit", rule))
    assert manager.post(page(integration, "rule-edit", rule), form()).status_code == 302
    assert IntegrationRule.objects.get().conditions == [STAGING]


def test_what_the_rulebook_refuses_is_told_in_the_form(pages, integration, monkeypatch):
    for number in range(50):
        RuleFactory(integration=integration, position=number)
    manager = pages.client("manager")
    assert faults(manager.post(page(integration, "rule-new"), form())) == {
        "__all__": ["An integration can have 50 rules: remove one first."]
    }
    rule = integration.rules.first()
    monkeypatch.setattr(rulebook, "edit", _gone)
    assert faults(manager.post(page(integration, "rule-edit", rule), form())) == {
        "__all__": ["Somebody has removed this rule meanwhile."]
    }
    monkeypatch.setattr(rulebook, "move", _gone)
    assert manager.post(page(integration, "rule-move", rule), {"by": "1"}).status_code == 404


def _gone(*given, **changes):
    raise IntegrationRule.DoesNotExist


def test_a_rule_is_tried_in_its_place_while_it_is_written(pages, integration):
    alert(integration, "Slow <b>", labels={"env": "staging"}, severity="high")
    alert(integration, "Calm", labels={"env": "staging"}, severity="low")
    alert(integration, "Other")
    first = add(integration, "First", [], [DROP])
    responder = pages.client("responder")

    def tried(view, rule=None, **changes):
        response = responder.post(page(integration, view, rule), form(outcome="take", **changes))
        return response, response.context["trial"]

    # A new one comes last: all is dropped before.
    response, trial = tried("rule-new-try", severity="low")
    assert (trial.total, trial.matched, trial.rows) == (3, 0, [])
    assert "<strong>None</strong> of the last 3 alerts would be touched" in response.text
    # In the place of the first it has its say.
    response, trial = tried("rule-try", first, severity="low", name="Lower")
    assert (trial.matched, trial.changed, trial.left, trial.dropped) == (2, 1, 1, 0)
    assert [(row.alert.title, row.rules) for row in trial.rows] == [("Slow <b>", ["Lower"])]
    assert "Slow &lt;b&gt;" in response.text and "When labels.env is “staging”: make it low." in response.text
    assert "Tried as if" not in response.text
    response, trial = tried("rule-try", first, severity="low", is_enabled=None)
    assert trial.matched == 2 and "Tried as if it were switched on" in response.text
    response, trial = tried("rule-try", first, delay="5")
    assert (trial.held, trial.left) == (2, 0) and "held until it has lasted 5 min" in response.text
    assert (names(integration), HeldAlert.objects.count()) == (["First"], 0)


def test_a_new_rule_has_no_faults_before_something_is_written(pages, integration):
    manager = pages.client("manager")
    opened = manager.get(page(integration, "rule-new"))
    row = {"field": "", "test": "equals", "value": ""}

    def tried(*rows, **changes):
        given = form(*rows, **{"name": "", "outcome": "take", **changes})
        return manager.post(page(integration, "rule-new-try"), given, headers=HTMX).text

    assert "required" not in opened.text and "errorlist" not in opened.text
    for shown in (tried(row), tried(row, name="Low at night")):
        assert "It is tried as soon as it says when, and what then." in shown and "Still to do" not in shown
    fault = "Condition 1, field: This field is required."
    for shown in (tried(row, severity="low"), tried(row, row), tried({**row, "value": "prod"})):
        assert fault in shown
    assert "Say what is to be done with it." in tried({**row, "field": "title"})


def test_a_rule_to_a_service_is_tried_in_its_words(pages, integration):
    search = ServiceFactory(team=integration.service.team, name="Search")
    alert(integration, "Slow")
    given = always(outcome="take", service=str(search.pk))
    response = pages.client("observer").post(page(integration, "rule-new-try"), given)
    assert "Always: send it to Search." in response.text and "to Search instead of Checkout" in response.text


def test_two_rules_of_one_name_are_told_apart(pages, integration):
    alert(integration, "Slow", labels={"env": "staging"})
    alert(integration, "Calm")
    add(integration, "Same", actions=[LOW])
    add(integration, "Same", [], [LOW])
    shown = pages.client("observer").get(page(integration)).context["shown"]
    assert [(each.rule.name, each.matched) for each in shown] == [("Same", 1), ("Same", 2)]


def test_only_some_rows_are_shown_and_the_others_counted(pages, integration):
    incident = IncidentFactory(service=integration.service)
    for _ in range(23):
        AlertFactory(integration=integration, incident=incident)
    add(integration, "All", [], [DROP])
    trial = pages.client("observer").get(page(integration)).context["trial"]
    assert (len(trial.rows), trial.more, trial.dropped, trial.untouched) == (20, 3, 23, 0)
    assert "and 3 more" in pages.text("observer", page(integration))


def test_what_is_held_is_shown_with_what_it_waits_for(pages, integration):
    search = ServiceFactory(team=integration.service.team, name="Search")
    HeldAlertFactory()
    HeldAlertFactory(integration=integration, to_service=search)
    HeldAlertFactory(
        integration=integration,
        wait=None,
        times=3,
        within=timedelta(minutes=10),
        count=2,
        firing_since=None,
        last_fired_at=timezone.now(),
        due_at=None,
        expires_at=timezone.now() + timedelta(minutes=9),
    )
    for name in ("integration-rules", "integration-held"):
        response = pages.client("observer").get(page(integration, name))
        assert [words for _, words in response.context["held"]] == [
            "until it was sent 3 times in 10 min",
            "until it has lasted 5 min",
        ]
        text = response.text
        assert "for Search" in text and "sent once" in text and "sent 2 times" in text
        assert "over for now" in text and "becomes an alert" in text and "forgotten" in text
    for _ in range(19):
        HeldAlertFactory(integration=integration)
    assert "The 20 that were sent last" in pages.text("observer", page(integration, "integration-held"))


def test_it_takes_the_same_queries_for_three_rules_as_for_one(pages, integration):
    team = integration.service.team

    def one_more():
        service = ServiceFactory(team=team)
        add(integration, "Away", [], [{"do": "set_service", "service": str(service.pk)}])
        alert(integration, "Slow")
        HeldAlertFactory(integration=integration, to_service=service)

    def counts():
        rule = integration.rules.first()
        paths = [
            page(integration),
            page(integration, "integration-held"),
            page(integration, "rule-edit", rule),
        ]
        return [pages.count_queries("manager", path) for path in paths]

    one_more()
    one = counts()
    one_more()
    one_more()
    assert counts() == one
    assert one[1] <= 4  # session, person, integration, held


def test_fields_of_recent_alerts_are_suggested(pages, integration):
    alert(
        integration,
        "Slow",
        labels={"env": "prod", "cluster": "eu"},
        metadata={
            "runbook": "https://x",
            "tags": ["a", "b"],
            "none": None,
            "rows": [{"a": 1}],
            "check": {"name": "x", "a.b": {"c": 1}, "d.e": 2},
            "x" * 300: 1,
        },
    )
    context = pages.client("manager").get(page(integration, "rule-new")).context
    assert context["fields"] == [
        "title", "name", "source", "severity", "status", "dedup_key", "labels.cluster", "labels.env",
        "metadata.check.d.e", "metadata.check.name", "metadata.runbook", "metadata.tags",
    ]  # fmt: skip


def test_large_metadata_is_not_loaded_for_suggestions(integration):
    alert(integration, "Slow", labels={"env": "prod"}, metadata={"small": 1})
    noise = random.Random(5).randbytes(MOST_BYTES).hex()  # which cannot be packed
    alert(integration, "Large", labels={"a": "b"}, metadata={"large": noise})
    assert [found.metadata for found in recent_alerts(integration)] == [{}, {"small": 1}]
    assert suggested_fields(recent_alerts(integration))[6:] == ["labels.a", "labels.env", "metadata.small"]


def test_suggestions_are_bounded():
    deep = {"a": {}}
    for _ in range(2000):
        deep = {"a": deep}
    wide = {str(number): number for number in range(5000)}
    found = suggested_fields(
        [AlertFactory.build(integration=None, incident=None, metadata=m) for m in (deep, wide)]
    )
    assert len(found) == 200


def test_the_integrations_page_leads_to_its_rules(pages, integration):
    path = reverse("integration", args=[integration.pk])
    assert "becomes an alert as it was sent" in pages.text("observer", path)
    add(integration, "a")
    add(integration, "b", is_enabled=False)
    HeldAlertFactory(integration=integration)
    text = pages.text("observer", path)
    assert "2 rules, 1 of them switched off" in text and "alerts are held back now" in text
    assert page(integration) in text and "/fields/" not in text
    of_service = pages.text("observer", reverse("service-integrations", args=[integration.service_id]))
    assert "2 rules" in of_service


def test_a_rule_nobody_has_is_not_found(pages, integration):
    assert pages.client("manager").get(f"{page(integration)}{uuid7()}/").status_code == 404
