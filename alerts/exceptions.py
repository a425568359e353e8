"""Named failures of the alerts app."""

from openalert.exceptions import OpenAlertError


class UnknownKey(OpenAlertError):
    """No integration has this key."""

    code = "unknown_integration_key"
    detail = "This integration key is not known. Copy it from the integration's page."
    status = 401


class IntegrationDisabled(OpenAlertError):
    code = "integration_disabled"
    detail = "This integration is switched off."
    status = 403


class MalformedPayload(OpenAlertError):
    """The body as a whole cannot be read, so nothing of it is stored."""

    code = "malformed_payload"
    status = 400
