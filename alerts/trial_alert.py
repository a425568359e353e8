"""An alert to try an integration with. It is taken as any other: the integration's rules, grouping and paging apply."""

from uuid import UUID

from django.db import transaction

from incidents.enums import Severity
from openalert import audit
from teams.models import User

from . import intake
from .enums import EventStatus
from .events import AlertEvent
from .exceptions import IntegrationDisabled
from .models import Integration
from .results import Result

KEY = "openalert-test-alert"


@transaction.atomic
def fire(integration_id: UUID, *, severity: Severity, by: User) -> Result:
    """Fire the test alert of an integration; while it fires, doing it again is one more on its count.

    Raises IntegrationDisabled, and what intake.take raises.
    """
    integration = Integration.objects.select_related("service__team").get(pk=integration_id)
    if not integration.is_enabled:
        raise IntegrationDisabled
    audit.record("test_alert_fired", integration, severity=severity.value)
    event = AlertEvent(
        dedup_key=KEY,
        status=EventStatus.FIRING,
        title=f"Test alert of {integration}"[:200],
        severity=severity,
        name=KEY,
        source="Administration",
        metadata={"description": f"{by} fires it, to see where alerts of {integration} go. Resolve it."},
    )
    [result] = intake.take(integration, [event])
    return result
