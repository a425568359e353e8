"""GitHub's webhooks."""

import hashlib
import hmac
import json
from urllib.parse import quote_plus, urlencode

import pytest

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import github
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send, stored
from incidents.enums import Severity


def run(**fields):
    given = payload("github_workflow_run")
    given["workflow_run"].update(fields)
    return given


def test_workflow_that_fails_on_the_default_branch():
    given = payload("github_workflow_run")
    assert github.read(given, {"x-github-event": "workflow_run"}) == [
        AlertEvent(
            dedup_key="acme/shop/workflow/3301/main",
            status="firing",
            title="Deploy failed on main in acme/shop",
            severity=Severity.HIGH,
            name="Deploy",
            source="acme/shop",
            labels={
                "repository": "acme/shop",
                "workflow": "Deploy",
                "branch": "main",
                "event": "push",
                "conclusion": "failure",
            },
            metadata={
                **given,
                "url": "https://github.com/acme/shop/actions/runs/9001002003",
                "description": "Charge twice at most (#812)",
            },
        )
    ]


def test_check_run():
    given = payload("github_check_run")
    assert github.read(given, {}) == [
        AlertEvent(
            dedup_key="acme/shop/check/acme-ci/load-test/main",
            status="firing",
            title="load-test timed out on main in acme/shop",
            severity=Severity.HIGH,
            name="load-test",
            source="acme/shop",
            labels={
                "repository": "acme/shop",
                "check": "load-test",
                "app": "acme-ci",
                "branch": "main",
                "conclusion": "timed_out",
            },
            metadata={
                **given,
                "url": "https://github.com/acme/shop/runs/55010",
                "description": "No end after an hour",
            },
        )
    ]


def test_check_suite_on_another_branch_is_low():
    given = payload("github_check_suite")
    assert github.read(given, {}) == [
        AlertEvent(
            dedup_key="acme/shop/suite/acme-ci/feature/cart",
            status="firing",
            title="Checks of acme-ci failed on feature/cart in acme/shop",
            severity=Severity.LOW,
            name="Checks of acme-ci",
            source="acme/shop",
            labels={
                "repository": "acme/shop",
                "app": "acme-ci",
                "branch": "feature/cart",
                "conclusion": "failure",
            },
            metadata={
                **given,
                "url": "https://github.com/acme/shop/commit/2e1d0c3f4b5a69788796a5b4c3d2e1f001122335/checks",
                "description": "Show the cart",
            },
        )
    ]


def test_deployment():
    given = payload("github_deployment_status")
    assert github.read(given, {}) == [
        AlertEvent(
            dedup_key="acme/shop/deployment/production/deploy",
            status="firing",
            title="Deployment to production failed in acme/shop",
            severity=Severity.HIGH,
            name="Deployment to production",
            source="acme/shop",
            labels={
                "repository": "acme/shop",
                "environment": "production",
                "branch": "main",
                "conclusion": "failure",
            },
            metadata={
                **given,
                "url": "https://deploy.example.com/801/log",
                "description": "Rollout stopped: 2 of 6 pods are ready",
            },
        )
    ]
    given["deployment"]["production_environment"] = False
    assert github.read(given, {})[0].severity == "low"


@pytest.mark.parametrize(
    ("conclusion", "status"),
    [
        ("failure", "firing"),
        ("timed_out", "firing"),
        ("startup_failure", "firing"),
        ("success", "resolved"),
        ("cancelled", None),
        ("skipped", None),
        ("neutral", None),
        ("stale", None),
        ("action_required", None),
        (None, None),
        ([], None),
    ],
)
def test_conclusions(conclusion, status):
    events = github.read(run(conclusion=conclusion), {})
    assert [event.status for event in events] == ([status] if status else [])
    assert {event.dedup_key for event in events} <= {"acme/shop/workflow/3301/main"}


def test_branch_of_a_fork_is_another_one():
    [event] = github.read(run(head_repository={"full_name": "eve/shop"}), {})
    assert (event.dedup_key, event.severity) == ("acme/shop/workflow/3301/eve/shop:main", "low")


def test_long_branch():
    [event] = github.read(run(head_branch="b" * 600, name="w" * 900), {})
    assert (len(event.dedup_key), len(event.labels["branch"]), len(event.title)) == (279, 255, 479)


def test_repository_is_wanted():
    [fault] = github.read({"workflow_run": {"conclusion": "failure"}}, {})
    assert isinstance(fault, EventFault)
    assert (fault.code, fault.field) == ("required", "repository.full_name")


def test_other_webhooks_say_nothing():
    assert github.read({"ref": "refs/heads/main", "commits": []}, {"x-github-event": "push"}) == []
    with pytest.raises(MalformedPayload):
        github.read([], {})


@pytest.mark.django_db(transaction=True)
def test_next_success_resolves():
    integration = IntegrationFactory(source=Source.GITHUB)
    assert outcomes(send(integration, run())) == ["opened"]
    assert outcomes(send(integration, run(conclusion="success", head_branch="feature"))) == ["ignored"]
    assert outcomes(send(integration, run(conclusion="success"))) == ["resolved"]
    assert stored() == [("acme/shop/workflow/3301/main", "resolved")]


@pytest.mark.django_db(transaction=True)
def test_form():
    integration = IntegrationFactory(source=Source.GITHUB, secret="s3cret")
    body = b"payload=" + quote_plus(json.dumps(run(display_title="ünï + 1 & 2"))).encode()
    signature = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    headers = {"content_type": "application/x-www-form-urlencoded", "x_hub_signature_256": signature}
    assert outcomes(send(integration, body, **headers)) == ["opened"]
    assert Alert.objects.get().metadata["description"] == "ünï + 1 & 2"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={",
        b"other=1",
        b"payload={}&payload={}",
        b"payload=%ff",
        b"payload=\xff",
        urlencode([("payload", "{}")] * 20).encode(),
    ],
)
def test_broken_forms(body):
    integration = IntegrationFactory(source=Source.GITHUB)
    response = send(integration, body, content_type="application/x-www-form-urlencoded")
    assert error(response)[:2] == (400, "malformed_payload")


@pytest.mark.django_db(transaction=True)
def test_signature():
    integration = IntegrationFactory(source=Source.GITHUB, secret="s3cret")
    body = json.dumps(run()).encode()
    digest = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    for given in ({}, {"x_hub_signature_256": digest}, {"x_hub_signature_256": f"sha256={'0' * 64}"}):
        assert error(send(integration, body, **given)) == (401, "bad_signature", None)
    assert send(integration, b"{}", x_github_event="ping").status_code == 401
    assert outcomes(send(integration, body, x_hub_signature_256=f"sha256={digest}")) == ["opened"]


@pytest.mark.django_db(transaction=True)
def test_ping():
    response = send(IntegrationFactory(source=Source.GITHUB), {"zen": "Anything"}, x_github_event="ping")
    assert (response.status_code, response.json()) == (200, {"message": "pong"})
