import pytest
from django.core.cache import cache
from django.utils import timezone

from incidents.tests.factories import IncidentFactory
from notifications.enums import Channel, NotificationStatus, Purpose
from notifications.models import ContactMethod, Notification, NotificationRule, QuietHours
from notifications.tests.factories import (
    ContactMethodFactory,
    DeliveryAttemptFactory,
    NotificationFactory,
    NotificationRuleFactory,
    QuietHoursFactory,
)
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cache.clear()  # the throttle counts there
    cast = Cast()
    cast.incident = IncidentFactory(service=ServiceFactory(team=cast.team))
    return cast


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


# Contact methods and rules: one's own, whatever the role


def test_contact_methods_are_their_owners_alone(cast):
    method = ContactMethodFactory(user=cast.responder)
    path = f"/api/v1/contact-methods/{method.pk}"
    only_responder = {"manager": 404, "observer": 404, "outsider": 404}

    assert cast.statuses("get", path) == answers(responder=200, **only_responder)
    assert cast.statuses("patch", path, {"label": "work"}) == answers(responder=200, **only_responder)
    assert cast.statuses("post", f"{path}/test") == answers(responder=202, **only_responder)
    assert cast.statuses("delete", path) == answers(responder=204, **only_responder)


def test_everybody_adds_contact_methods_of_their_own(cast):
    body = {"channel": "email", "address": "me@example.org", "label": "home"}
    assert cast.statuses("post", "/api/v1/contact-methods", body) == answers(201, 201, 201, 201)
    made = cast.api("responder").post("/api/v1/contact-methods", body).json()
    assert ContactMethod.objects.get(pk=made["id"]).user == cast.responder


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"channel": "email", "address": "nowhere"}, ("invalid", "address")),
        ({"channel": "email"}, ("invalid", "address")),
        ({"channel": "pigeon"}, ("invalid_choice", "channel")),
        ({"channel": "email", "address": "TAKEN@example.org"}, ("unique", "address")),
    ],
)
def test_a_contact_method_that_reaches_nobody_is_refused(cast, body, error):
    ContactMethodFactory(user=cast.responder, address="taken@example.org")
    response = cast.api("responder").post("/api/v1/contact-methods", body)
    assert (response.status_code, errors(response)) == (400, [error])


def test_pages_in_the_app_have_no_address(cast):
    method = ContactMethodFactory(user=cast.responder)
    api = cast.api("responder")
    changed = api.patch(f"/api/v1/contact-methods/{method.pk}", {"channel": "in_app"}).json()
    assert (changed["channel"], changed["address"]) == ("in_app", "")
    assert errors(api.post("/api/v1/contact-methods", {"channel": "in_app"})) == [("unique", "address")]


def test_a_test_page_goes_into_the_outbox(cast):
    method = ContactMethodFactory(user=cast.responder, address="me@example.org")
    response = cast.api("responder").post(f"/api/v1/contact-methods/{method.pk}/test")
    notification = Notification.objects.get()
    assert (response.status_code, response.json()["id"]) == (202, str(notification.pk))
    assert (response.json()["purpose"], response.json()["address"]) == ("test", "me@example.org")

    ContactMethod.objects.update(is_enabled=False)
    refused = cast.api("responder").post(f"/api/v1/contact-methods/{method.pk}/test")
    assert (refused.status_code, errors(refused)) == (409, [("contact_method_disabled", None)])


def test_test_pages_are_throttled(cast):
    path = f"/api/v1/contact-methods/{ContactMethodFactory(user=cast.responder).pk}/test"
    api = cast.api("responder")
    assert {api.post(path).status_code for _ in range(10)} == {202}
    refused = api.post(path)
    assert (refused.status_code, errors(refused)) == (429, [("throttled", None)])
    assert 0 < int(refused["Retry-After"]) <= 60


def test_notification_rules_are_their_owners_alone(cast):
    rule = NotificationRuleFactory(user=cast.responder)
    path = f"/api/v1/notification-rules/{rule.pk}"
    only_responder = {"manager": 404, "observer": 404, "outsider": 404}

    assert cast.statuses("get", path) == answers(responder=200, **only_responder)
    assert cast.statuses("patch", path, {"delay_minutes": 5}) == answers(responder=200, **only_responder)
    assert cast.statuses("delete", path) == answers(responder=204, **only_responder)
    body = {"contact_method": str(rule.contact_method.pk), "urgency": "low", "delay_minutes": 0}
    only_responder = {"manager": 400, "observer": 400, "outsider": 400}
    assert cast.statuses("post", "/api/v1/notification-rules", body) == answers(
        responder=201, **only_responder
    )


def test_a_method_is_used_once_for_each_urgency(cast):
    rule = NotificationRuleFactory(user=cast.responder)
    body = {"contact_method": str(rule.contact_method.pk), "urgency": "high", "delay_minutes": 10}
    api = cast.api("responder")
    assert errors(api.post("/api/v1/notification-rules", body)) == [("unique", "contact_method")]
    late = {**body, "urgency": "low", "delay_minutes": 1441}
    assert errors(api.post("/api/v1/notification-rules", late)) == [("max_value", "delay_minutes")]
    assert NotificationRule.objects.count() == 1


# Notifications


def test_pages_are_seen_by_the_members_of_the_incidents_team(cast):
    page = NotificationFactory(incident=cast.incident, user=cast.responder)
    assert cast.statuses("get", f"/api/v1/notifications/{page.pk}") == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"/api/v1/incidents/{cast.incident.pk}/notifications") == SEEN_BY_MEMBERS
    assert cast.statuses("delete", f"/api/v1/notifications/{page.pk}") == answers(405, 405, 405, 405)


def test_a_test_page_is_seen_by_its_person_alone(cast):
    test = NotificationFactory(user=cast.responder, incident=None, run_id=None, purpose=Purpose.TEST)
    path = f"/api/v1/notifications/{test.pk}"
    assert cast.statuses("get", path) == answers(404, 200, 404, 404)


def test_a_page_is_seen_by_its_person_even_out_of_the_team(cast):
    page = NotificationFactory(incident=cast.incident, user=cast.outsider)
    assert cast.api("outsider").get(f"/api/v1/notifications/{page.pk}").status_code == 200


def test_a_notification_is_shown_with_its_attempts_and_its_address_to_its_person_alone(cast):
    page = NotificationFactory(incident=cast.incident, user=cast.responder, address="me@example.org")
    DeliveryAttemptFactory(notification=page, status="failed", error="Connection refused")
    DeliveryAttemptFactory(notification=page)
    path = f"/api/v1/notifications/{page.pk}"

    seen = cast.api("responder").get(path).json()
    assert seen["address"] == "me@example.org"
    assert [(a["number"], a["status"], a["error"]) for a in seen["attempts"]] == [
        (1, "failed", "Connection refused"),
        (2, "sent", ""),
    ]
    assert cast.api("manager").get(path).json() == {**seen, "address": None}


def test_notifications_are_filtered(cast):
    sent = NotificationFactory(incident=cast.incident, user=cast.responder, status=NotificationStatus.SENT)
    waiting = NotificationFactory(incident=cast.incident, user=cast.manager)

    def ids(query):
        results = (
            cast.api("observer").get(f"/api/v1/notifications?ordering=created_at&{query}").json()["results"]
        )
        return [notification["id"] for notification in results]

    assert ids("") == [str(sent.pk), str(waiting.pk)]
    assert ids("status=sent&channel=email") == [str(sent.pk)]
    assert ids(f"user={cast.manager.pk}&is_seen=false") == [str(waiting.pk)]
    assert ids("is_seen=true") == ids("purpose=test") == []


LISTS = {
    "/api/v1/contact-methods": lambda cast: ContactMethodFactory(user=cast.observer),
    "/api/v1/quiet-hours": lambda cast: QuietHoursFactory(
        user=cast.observer, allowed=[ContactMethodFactory(user=cast.observer)]
    ),
    "/api/v1/notification-rules": lambda cast: NotificationRuleFactory(user=cast.observer),
    "/api/v1/notifications": lambda cast: add_page(cast, IncidentFactory(service=cast.incident.service)),
    "/api/v1/incidents/{}/notifications": lambda cast: add_page(cast, cast.incident),
}


def add_page(cast, incident):
    page = NotificationFactory(incident=incident, user=UserFactory())
    MembershipFactory(team=cast.team, user=page.user)
    DeliveryAttemptFactory(notification=page)
    DeliveryAttemptFactory(notification=page)


@pytest.mark.parametrize("path", LISTS)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    add, path = LISTS[path], path.format(cast.incident.pk)
    add(cast)
    one = count_queries(cast.api("observer"), path)
    add(cast)
    add(cast)
    assert (one[0], count_queries(cast.api("observer"), path)) == (1, (3, one[1]))
    assert cast.api("nobody").get(path).status_code == 401


def test_rules_are_filtered_by_urgency(cast):
    method = ContactMethodFactory(user=cast.observer, channel=Channel.IN_APP)
    for urgency in ("high", "low"):
        NotificationRuleFactory(user=cast.observer, contact_method=method, urgency=urgency)
    results = cast.api("observer").get("/api/v1/notification-rules?urgency=low").json()["results"]
    assert [rule["urgency"] for rule in results] == ["low"]


# Quiet hours and broken methods


def test_quiet_hours_are_their_owners_alone(cast):
    quiet = QuietHoursFactory(user=cast.responder)
    path = f"/api/v1/quiet-hours/{quiet.pk}"
    only_responder = {"manager": 404, "observer": 404, "outsider": 404}
    assert cast.statuses("get", path) == answers(responder=200, **only_responder)
    assert cast.statuses("patch", path, {"until": "08:00"}) == answers(responder=200, **only_responder)
    assert cast.statuses("delete", path) == answers(responder=204, **only_responder)


def test_quiet_hours_are_written_with_the_methods_that_go_all_the_same(cast):
    method = ContactMethodFactory(user=cast.responder)
    body = {"starts": "22:00", "until": "07:00", "weekdays": [0, 6], "allowed_methods": [str(method.pk)]}
    api = cast.api("responder")
    made = api.post("/api/v1/quiet-hours", body).json()
    assert (made["starts"], made["weekdays"], made["allowed_methods"]) == (
        "22:00:00",
        [0, 6],
        [str(method.pk)],
    )
    assert list(QuietHours.objects.get().allowed_methods.all()) == [method]
    foreign = {**body, "allowed_methods": [str(ContactMethodFactory().pk)]}
    assert errors(api.post("/api/v1/quiet-hours", foreign)) == [("does_not_exist", "allowed_methods")]
    assert errors(api.post("/api/v1/quiet-hours", {**body, "weekdays": [7]})) == [
        ("invalid_choice", "weekdays.0")
    ]


def test_a_broken_method_is_used_again_when_its_owner_says_so(cast):
    method = ContactMethodFactory(
        user=cast.responder, broken_at=timezone.now(), broken_reason="invalid number"
    )
    api, path = cast.api("responder"), f"/api/v1/contact-methods/{method.pk}"
    assert api.get(path).json()["broken_reason"] == "invalid number"
    assert api.patch(path, {"broken_at": None}).json()["broken_at"] is not None
    elsewhere = api.patch(path, {"address": "elsewhere@example.org"}).json()
    assert (elsewhere["broken_at"], elsewhere["broken_reason"]) == (None, "")
    method.save()  # as it was
    only_responder = {"manager": 404, "observer": 404, "outsider": 404}
    assert cast.statuses("post", f"{path}/mended") == answers(responder=200, **only_responder)
    assert api.post(f"{path}/mended").json()["broken_at"] is None
