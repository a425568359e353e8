"""GitLab's webhooks."""

import pytest

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import gitlab
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send, stored
from incidents.enums import Severity


def pipeline(**fields):
    given = payload("gitlab_pipeline")
    given["object_attributes"].update(fields)
    return given


def test_pipeline_that_fails_on_the_default_branch():
    given = payload("gitlab_pipeline")
    assert gitlab.read(given, {"x-gitlab-event": "Pipeline Hook"}) == [
        AlertEvent(
            dedup_key="30/pipeline//main",
            status="firing",
            title="Pipeline failed on main in acme/shop",
            severity=Severity.HIGH,
            name="Pipeline",
            source="acme/shop",
            labels={"project": "acme/shop", "ref": "main", "source": "push"},
            metadata={
                **given,
                "url": "https://gitlab.example.com/acme/shop/-/pipelines/5301",
                "description": "Failed: unit",
            },
        )
    ]


def test_job():
    given = payload("gitlab_job")
    assert gitlab.read(given, {}) == [
        AlertEvent(
            dedup_key="30/job/nightly-backup/main",
            status="firing",
            title="nightly-backup failed on main in acme/shop",
            severity=Severity.HIGH,
            name="nightly-backup",
            source="acme/shop",
            labels={"project": "acme/shop", "job": "nightly-backup", "stage": "ops", "ref": "main"},
            metadata={
                **given,
                "url": "https://gitlab.example.com/acme/shop/-/jobs/796",
                "description": "script_failure",
            },
        )
    ]
    assert gitlab.read({**given, "build_allow_failure": True}, {}) == []


def test_job_of_an_older_gitlab():
    given = payload("gitlab_job")
    del given["project"]
    [event] = gitlab.read(given, {})
    assert (event.dedup_key, event.source, event.severity) == (
        "30/job/nightly-backup/main",
        "Acme / Shop",
        "low",
    )
    assert event.metadata["url"] == "https://gitlab.example.com/acme/shop/-/jobs/796"


def test_deployment():
    given = payload("gitlab_deployment")
    assert gitlab.read(given, {}) == [
        AlertEvent(
            dedup_key="30/deployment/prod-eu",
            status="firing",
            title="Deployment to prod-eu failed in acme/shop",
            severity=Severity.HIGH,
            name="Deployment to prod-eu",
            source="acme/shop",
            labels={"project": "acme/shop", "environment": "prod-eu", "tier": "production", "ref": "main"},
            metadata={
                **given,
                "url": "https://gitlab.example.com/acme/shop/-/jobs/797",
                "description": "Charge twice at most",
            },
        )
    ]
    assert gitlab.read({**given, "environment_tier": "staging"}, {})[0].severity == "low"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("failed", "firing"),
        ("success", "resolved"),
        ("canceled", None),
        ("running", None),
        (None, None),
        ({}, None),
    ],
)
def test_statuses(status, expected):
    events = gitlab.read(pipeline(status=status), {})
    assert [(event.status, event.dedup_key) for event in events] == (
        [(expected, "30/pipeline//main")] if expected else []
    )


def test_merge_request_is_a_place_of_its_own():
    given = pipeline(source="merge_request_event", url=None)
    given["merge_request"] = {"iid": 7, "source_branch": "main", "title": "From a fork"}
    [event] = gitlab.read(given, {})
    assert (event.dedup_key, event.severity) == ("30/pipeline//!7", "low")
    assert event.title == "Pipeline failed on !7 in acme/shop"
    assert event.metadata["url"] == "https://gitlab.example.com/acme/shop/-/pipelines/5301"


def test_project_is_wanted():
    [fault] = gitlab.read({"object_kind": "build", "build_status": "failed"}, {})
    assert isinstance(fault, EventFault)
    assert (fault.code, fault.field) == ("required", "project")


def test_other_webhooks_say_nothing():
    assert gitlab.read({"object_kind": "push", "status": "failed"}, {}) == []
    with pytest.raises(MalformedPayload):
        gitlab.read("x", {})


@pytest.mark.django_db(transaction=True)
def test_next_success_resolves():
    integration = IntegrationFactory(source=Source.GITLAB)
    assert outcomes(send(integration, pipeline())) == ["opened"]
    assert outcomes(send(integration, pipeline(status="running"))) == []
    assert outcomes(send(integration, pipeline(status="success"))) == ["resolved"]
    assert stored() == [("30/pipeline//main", "resolved")]


@pytest.mark.django_db(transaction=True)
def test_token():
    integration = IntegrationFactory(source=Source.GITLAB, secret="tökén")
    for given in ({}, {"x_gitlab_token": "token"}):
        assert error(send(integration, pipeline(), **given)) == (401, "bad_signature", None)
    token = "tökén".encode().decode("latin-1")  # its bytes are UTF-8
    assert outcomes(send(integration, pipeline(), x_gitlab_token=token)) == ["opened"]
