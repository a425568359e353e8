"""GitLab's webhooks for what fails: pipelines, jobs, deployments.

docs.gitlab.com, Webhook events. A pipeline (a job, an environment's deployment) on a ref is one problem: its next
success there resolves it. What fails on the default branch, or in production, is high; elsewhere it is low.
Cancelled and skipped ones say nothing, jobs that are allowed to fail neither, nor do other webhooks.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import Answer, Request
from .reading import first_text, inner, key_of, read_or_fault, strings, text
from .signing import demand

if TYPE_CHECKING:
    from alerts.models import Integration

STATUSES = {"failed": EventStatus.FIRING, "success": EventStatus.RESOLVED}


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """With a secret, it must have been sent along."""
    if integration.secret:
        demand(request.headers.get("x-gitlab-token", ""), integration.secret)
    return None


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """At most one event. Raises MalformedPayload."""
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not a webhook of GitLab: a JSON object is wanted.")
    read_one = KINDS.get(text(payload.get("object_kind"), 32))
    if read_one is None or _status(payload) is None:
        return []
    return [read_or_fault(payload, read_one)]


def _status(payload: dict[str, Any]) -> EventStatus | None:
    """None for what has not ended, and for an end that says nothing."""
    given = first_text(
        32,
        inner(payload, "object_attributes").get("status"),
        payload.get("build_status"),
        payload.get("status"),
    )
    if given == "failed" and payload.get("build_allow_failure") is True:
        return None
    return STATUSES.get(given)


def _pipeline(payload: dict[str, Any]) -> AlertEvent:
    pipeline, request = inner(payload, "object_attributes"), inner(payload, "merge_request")
    ref = text(pipeline.get("ref"), 255)
    # A merge request's branch may be a fork's that has the name of one of ours.
    place = f"!{text(request.get('iid'), 32)}" if pipeline.get("source") == "merge_request_event" else ref
    page = text(inner(payload, "project").get("web_url"), 1_000)
    failed = [
        first_text(128, build.get("name"))
        for build in _list(payload.get("builds"))
        if isinstance(build, dict)
        and build.get("status") == "failed"
        and build.get("allow_failure") is not True
    ]
    told = {
        "url": text(pipeline.get("url"), 2_000)
        or (f"{page}/-/pipelines/{pipeline.get('id')}" if page else ""),
        "description": f"Failed: {', '.join(failed)}" if failed else "",
    }
    name = text(pipeline.get("name"), 200)
    return _event(
        payload,
        key=("pipeline", name, place),
        name=name or "Pipeline",
        place=f"on {place}" if place else "",
        is_important=place == inner(payload, "project").get("default_branch"),
        told=told,
        labels={"ref": ref, "source": pipeline.get("source")},
    )


def _job(payload: dict[str, Any]) -> AlertEvent:
    name, ref = text(payload.get("build_name"), 200), text(payload.get("ref"), 255)
    page = first_text(
        1_000, inner(payload, "project").get("web_url"), inner(payload, "repository").get("homepage")
    )
    return _event(
        payload,
        key=("job", name, ref),
        name=name or "Job",
        place=f"on {ref}" if ref else "",
        is_important=ref == inner(payload, "project").get("default_branch"),
        told={
            "url": f"{page}/-/jobs/{payload.get('build_id')}" if page else "",
            "description": text(payload.get("build_failure_reason"), 500),
        },
        labels={"job": name, "stage": payload.get("build_stage"), "ref": ref},
    )


def _deployment(payload: dict[str, Any]) -> AlertEvent:
    environment = text(payload.get("environment"), 255) or "production"
    tier = text(payload.get("environment_tier"), 32)
    return _event(
        payload,
        key=("deployment", environment),
        name=f"Deployment to {environment}",
        place="",
        is_important=(tier or environment) == "production",
        told={
            "url": first_text(2_000, payload.get("deployable_url"), payload.get("environment_external_url")),
            "description": text(payload.get("commit_title"), 500),
        },
        labels={"environment": environment, "tier": tier, "ref": payload.get("ref")},
    )


# A job's webhook still has the name that jobs had once.
KINDS: dict[str, Callable[[dict[str, Any]], AlertEvent]] = {
    "pipeline": _pipeline,
    "build": _job,
    "deployment": _deployment,
}


def _event(
    payload: dict[str, Any],
    *,
    key: tuple[Any, ...],
    name: str,
    place: str,
    is_important: bool,
    told: dict[str, str],
    labels: dict[str, Any],
) -> AlertEvent:
    project = inner(payload, "project")
    path = first_text(
        MAX_SOURCE, project.get("path_with_namespace"), payload.get("project_name"), project.get("name")
    )
    number = first_text(64, project.get("id"), payload.get("project_id"), path)
    if not number:
        raise InvalidEvent("required", "The project is missing.", field="project")
    status = _status(payload) or EventStatus.FIRING
    end = "failed" if status == EventStatus.FIRING else "succeeded"
    parts = (name, end, place, "in", path or f"project {number}")
    labels = {"project": path, **labels}
    return AlertEvent(
        dedup_key=key_of(number, *key),
        status=status,
        title=text(" ".join(part for part in parts if part), MAX_TITLE),
        severity=Severity.HIGH if is_important else Severity.LOW,
        name=name,
        source=path,
        labels={label: value for label, value in strings(labels).items() if value},
        metadata={**payload, **told},
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
