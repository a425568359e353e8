"""Splitting, all apps together: what becomes of alerts, their repeats, escalations and both stories."""

import pytest
from django.urls import reverse

from alerts import splitting
from alerts.enums import Grouping
from alerts.exceptions import NothingToSplit, SplitsEverything
from alerts.images import images_of
from alerts.models import AlertMove
from alerts.tests.factories import AlertFactory, IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from escalations.tests.pager import Pager
from incidents import merging
from incidents.enums import Kind, Severity, Status
from incidents.exceptions import IncidentIsOver, IncidentMerged, NotMerged
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, sentence
from openalert.exceptions import PermissionMissing
from openalert.tests.pages import Pages
from teams.tests.cast import Cast, answers
from teams.tests.factories import ServiceFactory


@pytest.fixture
def pager(clock, db):
    pager = Pager(clock)
    pager.integration.grouping = Grouping.ALL
    pager.integration.save()
    return pager


def split(incident, *keys, actor=SYSTEM, **more):
    ids = list(incident.alerts.filter(dedup_key__in=keys).values_list("pk", flat=True))
    return splitting.split(incident_id=incident.pk, alert_ids=ids, actor=actor, **more)


def keys_of(incident):
    return sorted(incident.alerts.values_list("dedup_key", flat=True))


def last(incident):
    return sentence(incident.timeline.order_by("-pk")[0])


def test_alerts_are_split_off_and_both_stories_tell(pager):
    pager.policy(["ana"])
    incident = pager.fire("disk", severity=Severity.LOW)
    for key in ("slow", "slower"):
        pager.wait(seconds=1)
        assert pager.fire(key) == incident
    new = split(incident, "slow", "slower")
    assert (keys_of(incident), keys_of(new)) == (["disk"], ["slow", "slower"])
    assert (new.title, new.severity, new.status) == ("slow", Severity.CRITICAL, Status.OPEN)
    assert last(incident) == f"OpenAlert split “slow”, “slower” off into #{new.number}"
    assert last(new) == f"OpenAlert split it off from #{incident.number} with “slow”, “slower”"
    incident.refresh_from_db()
    assert incident.status == Status.OPEN


def test_what_was_split_off_is_escalated_by_its_own_rules(pager):
    team, bo = pager.team, pager.person("bo")
    RoutingRuleFactory(
        team=team, severities=[Severity.CRITICAL], policy=PolicyFactory(team=team, levels=[[bo]])
    )
    pager.policy(["ana"])
    incident = pager.fire("disk", severity=Severity.LOW)
    pager.fire("slow", severity=Severity.LOW)
    incident.alerts.filter(dedup_key="slow").update(severity=Severity.CRITICAL)
    new = split(incident, "slow")
    pager.work()
    assert pager.paged(incident) == ["ana"]
    assert pager.paged(new) == ["bo"]


def test_repeats_go_where_the_alert_went_and_new_alerts_stay(pager):
    incident = pager.fire("disk")
    pager.fire("slow")
    new = split(incident, "slow")
    assert pager.fire("slow") == new
    assert pager.fire("disk") == incident
    assert pager.fire("third") == incident
    pager.end("slow")
    new.refresh_from_db()
    incident.refresh_from_db()
    assert (new.status, incident.status) == (Status.RESOLVED, Status.OPEN)


def test_what_cannot_be_split(pager):
    incident = pager.fire("disk")
    with pytest.raises(SplitsEverything):
        split(incident, "disk")
    pager.fire("slow")
    new = split(incident, "slow")
    alert = new.alerts.get()
    with pytest.raises(NothingToSplit):  # asked twice
        splitting.split(incident_id=incident.pk, alert_ids=[alert.pk], actor=SYSTEM)
    merging.merge(source_ids=[new.pk], target_id=incident.pk, actor=SYSTEM)
    with pytest.raises(IncidentMerged):
        splitting.split(incident_id=new.pk, alert_ids=[alert.pk], actor=SYSTEM)
    pager.end("disk")
    pager.end("slow")
    with pytest.raises(IncidentIsOver):
        splitting.split(incident_id=incident.pk, alert_ids=[alert.pk], actor=SYSTEM)


def test_a_merge_is_undone_with_the_alerts_that_came_along(pager):
    pager.policy(["ana"])
    pager.integration.grouping = Grouping.NONE
    pager.integration.save()
    a, b, c = pager.fire("a"), pager.fire("b"), pager.fire("c")
    for source, target in ((a, b), (b, c)):
        merging.merge(source_ids=[source.pk], target_id=target.pk, actor=SYSTEM)
    assert keys_of(c) == ["a", "b", "c"]
    before = pager.paged(a)
    again = splitting.undo_merge(incident_id=a.pk, actor=SYSTEM)
    pager.work()
    assert (keys_of(a), keys_of(c)) == (["a"], ["b", "c"])
    assert (again.status, again.merged_into) == (Status.OPEN, None)
    assert pager.paged(a) == [*before, "ana"]
    assert last(c) == f"OpenAlert took #{a.number} out of it again, with 1 alert"
    assert Kind.UNMERGED in a.timeline.values_list("kind", flat=True)
    assert pager.fire("a") == a
    with pytest.raises(NotMerged):
        splitting.undo_merge(incident_id=a.pk, actor=SYSTEM)
    # The second one does not take back what was taken out already.
    splitting.undo_merge(incident_id=b.pk, actor=SYSTEM)
    assert (keys_of(a), keys_of(b), keys_of(c)) == (["a"], ["b"], ["c"])
    assert not AlertMove.objects.exists()


def test_what_is_over_is_not_taken_apart(pager):
    pager.integration.grouping = Grouping.NONE
    pager.integration.save()
    a, b = pager.fire("a"), pager.fire("b")
    merging.merge(source_ids=[a.pk], target_id=b.pk, actor=SYSTEM)
    pager.end("a")
    pager.end("b")
    with pytest.raises(IncidentIsOver):
        splitting.undo_merge(incident_id=a.pk, actor=SYSTEM)


# Who may, on pages and through the API


@pytest.fixture
def cast(db):
    return Cast()


def test_responders_split_on_the_page_once(cast):
    pages = Pages(cast)
    incident = IncidentFactory(service=ServiceFactory(team=cast.team))
    stays, goes = AlertFactory.create_batch(2, incident=incident)
    path = reverse("incident-split", args=[incident.number])
    assert pages.statuses("get", path) == pages.answers(200, 200, 403, 404)
    client = pages.client("responder")
    assert client.post(path, {}).status_code == 422
    assert client.post(path, {"alert": [stays.pk, goes.pk]}).status_code == 409
    headers = {"Idempotency-Key": "0b9c1a52-4f37-4a0e-8d59-7b1c7a4a3f10"}
    answer = client.post(path, {"alert": goes.pk, "title": "Another matter"}, headers=headers)
    new = Incident.objects.get(title="Another matter")
    assert answer.headers["location"] == new.get_absolute_url()
    merging.merge(source_ids=[new.pk], target_id=incident.pk, actor=SYSTEM)
    undo = reverse("incident-unmerge", args=[new.number])
    assert pages.statuses("post", undo) == pages.answers(302, 302, 403, 404)
    assert "Undo the merge" in pages.text("responder", new.get_absolute_url())


def test_responders_split_through_the_api(cast):
    incident = IncidentFactory(service=ServiceFactory(team=cast.team))
    _, goes = AlertFactory.create_batch(2, incident=incident)
    path = f"/api/v1/incidents/{incident.pk}/split"
    body = {"alerts": [str(goes.pk)], "title": "Another matter"}
    assert cast.statuses("post", path, body) == answers(201, 201, 403, 404)
    new = Incident.objects.get(pk=cast.api("responder").post(path, body).json()["id"])
    merging.merge(source_ids=[new.pk], target_id=incident.pk, actor=SYSTEM)
    assert cast.statuses("post", f"/api/v1/incidents/{new.pk}/unmerge") == answers(200, 200, 403, 404)
    # Alerts of another team's service become that team's matter: whoever is not in it cannot say so.
    foreign = AlertFactory(
        incident=incident, integration=IntegrationFactory(service=ServiceFactory(team=cast.other_team))
    )
    with pytest.raises(PermissionMissing):
        splitting.split(
            incident_id=incident.pk,
            alert_ids=[foreign.pk],
            actor=SYSTEM.person(cast.responder, via="web"),
        )


# Pictures


def test_pictures_are_links_and_shown_from_named_hosts_only(cast, settings):
    settings.ALERT_IMAGE_HOSTS = ["grafana.example.org"]
    metadata = {
        "images": [
            {
                "src": "https://grafana.example.org/p.png",
                "href": "https://grafana.example.org/d/1",
                "alt": "CPU",
            },
            {"src": "http://grafana.example.org/p.png"},
            {"src": "https://grafana.example.org@evil.example/p.png"},
            {"src": "javascript:alert(1)"},
            7,
        ],
        "imageURL": "https://evil.example/p.png",
    }
    alert = AlertFactory(incident__service__team=cast.team, metadata=metadata)
    assert [(image.alt, image.is_shown) for image in images_of(alert)] == [
        ("CPU", True),
        ("Image", False),
        ("Image", False),
        ("Panel", False),
    ]
    page = Pages(cast).text("observer", reverse("incident-alerts", args=[alert.incident.number]))
    assert page.count("<img") == 1 and 'href="https://evil.example/p.png"' in page
