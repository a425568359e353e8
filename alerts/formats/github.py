"""GitHub's webhooks for what fails: workflow runs, checks, deployments.

docs.github.com, Webhook events and payloads. A workflow (a check, a deployment's environment) on a branch is one
problem: its next success there resolves it. What fails on the default branch, or in production, is high;
elsewhere it is low. Cancelled, skipped and neutral runs say nothing, and neither do other webhooks.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import Answer, Request, decode_json
from .reading import first_text, inner, key_of, read_or_fault, strings, text
from .signing import demand, hmac_sha256

if TYPE_CHECKING:
    from alerts.models import Integration

STATUSES = {
    "failure": EventStatus.FIRING,
    "timed_out": EventStatus.FIRING,
    "startup_failure": EventStatus.FIRING,
    "error": EventStatus.FIRING,
    "success": EventStatus.RESOLVED,
}
WORDS = {"timed_out": "timed out", "startup_failure": "could not start"}


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """Of JSON, or of a form with the JSON in `payload`. Raises MalformedPayload."""
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return decode_json(body, headers)
    try:
        [payload] = parse_qs(body.decode(), max_num_fields=10)["payload"]
    except (KeyError, ValueError) as cause:
        raise MalformedPayload("The form has no field “payload”.", field="payload") from cause
    return decode_json(payload.encode(), headers)


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """With a secret, the body must be signed with it. A ping ends here."""
    if integration.secret:
        expected = "sha256=" + hmac_sha256(integration.secret, request.body)
        demand(request.headers.get("x-hub-signature-256", ""), expected)
    return Answer(200, {"message": "pong"}) if request.headers.get("x-github-event") == "ping" else None


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """At most one event. Raises MalformedPayload."""
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not a webhook of GitHub: a JSON object is wanted.")
    kind = next((kind for kind in KINDS if isinstance(payload.get(kind), dict)), None)
    if kind is None:
        return []
    outcome, read_one = KINDS[kind]
    # What is said of a run that has not ended has no conclusion.
    status = STATUSES.get(text(payload[kind].get(outcome), 32))
    return [read_or_fault(payload, lambda whole: read_one(whole, status))] if status else []


def _workflow_run(payload: dict[str, Any], status: EventStatus) -> AlertEvent:
    run = inner(payload, "workflow_run")
    name = first_text(200, run.get("name"), inner(payload, "workflow").get("name"), run.get("path"))
    head = inner(run, "head_repository").get("full_name")
    branch = text(run.get("head_branch"), 255)
    if head is not None and head != inner(payload, "repository").get("full_name"):
        branch = f"{text(head, 200)}:{branch}"  # a fork's branch may have the name of one of ours
    return _event(
        payload,
        status,
        key=("workflow", run.get("workflow_id") or name, branch),
        name=name or "Workflow",
        place=f"on {branch}" if branch else "",
        conclusion=run.get("conclusion"),
        is_important=branch == _default_branch(payload),
        url=run.get("html_url"),
        description=first_text(2_000, run.get("display_title"), inner(run, "head_commit").get("message")),
        labels={"workflow": name, "branch": branch, "event": run.get("event")},
    )


def _check_run(payload: dict[str, Any], status: EventStatus) -> AlertEvent:
    run = inner(payload, "check_run")
    name, app = text(run.get("name"), 200), _app(run)
    branch = first_text(255, inner(run, "check_suite").get("head_branch"), run.get("head_sha"))
    output = inner(run, "output")
    return _event(
        payload,
        status,
        key=("check", app, name, branch),
        name=name or "Check",
        place=f"on {branch}" if branch else "",
        conclusion=run.get("conclusion"),
        is_important=branch == _default_branch(payload),
        url=run.get("html_url") or run.get("details_url"),
        description=first_text(2_000, output.get("title"), output.get("summary")),
        labels={"check": name, "app": app, "branch": branch},
    )


def _check_suite(payload: dict[str, Any], status: EventStatus) -> AlertEvent:
    suite = inner(payload, "check_suite")
    app = _app(suite)
    branch = first_text(255, suite.get("head_branch"), suite.get("head_sha"))
    page = text(inner(payload, "repository").get("html_url"), 1_000)
    return _event(
        payload,
        status,
        key=("suite", app, branch),
        name=f"Checks of {app}" if app else "Checks",
        place=f"on {branch}" if branch else "",
        conclusion=suite.get("conclusion"),
        is_important=branch == _default_branch(payload),
        url=f"{page}/commit/{text(suite.get('head_sha'), 64)}/checks" if page else "",
        description=inner(suite, "head_commit").get("message"),
        labels={"app": app, "branch": branch},
    )


def _deployment(payload: dict[str, Any], status: EventStatus) -> AlertEvent:
    state, deployment = inner(payload, "deployment_status"), inner(payload, "deployment")
    environment = first_text(255, state.get("environment"), deployment.get("environment")) or "production"
    task = text(deployment.get("task"), 128) or "deploy"
    is_production = deployment.get("production_environment")
    return _event(
        payload,
        status,
        key=("deployment", environment, task),
        name=f"Deployment to {environment}",
        place="",
        conclusion=state.get("state"),
        is_important=is_production if isinstance(is_production, bool) else environment == "production",
        url=first_text(2_000, state.get("log_url"), state.get("target_url"), state.get("environment_url")),
        description=first_text(2_000, state.get("description"), deployment.get("description")),
        labels={"environment": environment, "branch": deployment.get("ref")},
    )


KINDS: dict[str, tuple[str, Callable[[dict[str, Any], EventStatus], AlertEvent]]] = {
    # A deployment's webhook may have the run that made it beside it.
    "deployment_status": ("state", _deployment),
    "workflow_run": ("conclusion", _workflow_run),
    "check_run": ("conclusion", _check_run),
    "check_suite": ("conclusion", _check_suite),
}


def _event(
    payload: dict[str, Any],
    status: EventStatus,
    *,
    key: tuple[Any, ...],
    name: str,
    place: str,
    conclusion: Any,
    is_important: bool,
    url: Any,
    description: Any,
    labels: dict[str, Any],
) -> AlertEvent:
    repository = text(inner(payload, "repository").get("full_name"), MAX_SOURCE)
    if not repository:
        raise InvalidEvent("required", "The repository is missing.", field="repository.full_name")
    end = "succeeded" if status == EventStatus.RESOLVED else WORDS.get(text(conclusion, 32), "failed")
    parts = (name, end, place, "in", repository)
    labels = {"repository": repository, **labels, "conclusion": conclusion}
    return AlertEvent(
        dedup_key=key_of(repository, *key),
        status=status,
        title=text(" ".join(part for part in parts if part), MAX_TITLE),
        severity=Severity.HIGH if is_important else Severity.LOW,
        name=name,
        source=repository,
        labels={label: value for label, value in strings(labels).items() if value},
        metadata={**payload, "url": text(url, 2_000), "description": text(description, 2_000)},
    )


def _app(thing: dict[str, Any]) -> str:
    return first_text(128, inner(thing, "app").get("slug"), inner(thing, "app").get("name"))


def _default_branch(payload: dict[str, Any]) -> Any:
    return inner(payload, "repository").get("default_branch")
