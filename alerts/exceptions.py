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


class MissingKey(OpenAlertError):
    code = "missing_integration_key"
    detail = "Send the integration key as “Authorization: Bearer <key>”."
    status = 401


class WrongSource(OpenAlertError):
    """The key is good, but its integration speaks another format than this address."""

    code = "wrong_source"
    status = 403


class BadSignature(OpenAlertError):
    """The request is not signed with the integration's secret."""

    code = "bad_signature"
    detail = "The signature does not fit this integration's signing secret."
    status = 401


class MalformedPayload(OpenAlertError):
    """The body as a whole cannot be read, so nothing of it is stored."""

    code = "malformed_payload"
    status = 400


class InvalidRule(OpenAlertError):
    """A rule's conditions or actions cannot be understood; `field` is the place, like “conditions.0.value”."""

    code = "invalid_rule"
    status = 400


class NotTheIntegrationsRules(OpenAlertError):
    code = "not_the_integrations_rules"
    detail = "Name each rule of the integration exactly once."
    status = 400


class TooManyRules(OpenAlertError):
    code = "too_many_rules"
    detail = "An integration can have 50 rules: remove one first."
    status = 409


class NotForThisSource(OpenAlertError):
    code = "not_for_this_source"
    detail = "Only an integration for any JSON has fields to choose; the others know their format."
    status = 409


class InvalidExpression(OpenAlertError):
    """An expression for a field cannot be read, or cannot be carried out; `field` is whose it is."""

    code = "invalid_expression"
    status = 400


class WindowEndsBeforeStart(OpenAlertError):
    code = "ends_before_start"
    detail = "It has to end after it starts."
    status = 400


class WindowInThePast(OpenAlertError):
    code = "window_in_the_past"
    detail = "It would be over already."
    status = 400


class WindowIsOver(OpenAlertError):
    code = "window_is_over"
    detail = "This maintenance window is over: what has been is not changed."
    status = 409


class NotTheTeamsServices(OpenAlertError):
    code = "not_the_teams_services"
    detail = "Choose services of the window's own team."
    status = 400


class NeverComes(OpenAlertError):
    """A series ends before it comes for the first time."""

    code = "never_comes"
    detail = "With this last day it would never come."
    status = 400


class LongerThanItsInterval(OpenAlertError):
    code = "longer_than_its_interval"
    detail = "It would not be over when it comes again."
    status = 400


class InvalidSpan(OpenAlertError):
    code = "invalid_span"
    detail = "By how much? Up to 24 hours."
    status = 400


class NothingToSplit(OpenAlertError):
    code = "nothing_to_split"
    detail = "None of these alerts is the incident's own."
    status = 409


class SplitsEverything(OpenAlertError):
    code = "splits_everything"
    detail = "Leave at least one alert: these are all that the incident has."
    status = 409
