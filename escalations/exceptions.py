"""Named failures of the escalations app."""

from openalert.exceptions import OpenAlertError


class NothingToEscalate(OpenAlertError):
    """There is no step to go on to: the incident is resolved, or no policy is in charge of it."""

    code = "nothing_to_escalate"
    detail = "There is nobody to escalate to."
    status = 409


class ReassignToOne(OpenAlertError):
    code = "reassign_to_one"
    detail = "Name either a person or an escalation policy."
    status = 400


class NotTheTeamsRules(OpenAlertError):
    code = "not_the_teams_rules"
    detail = "Name each routing rule of the team exactly once."
    status = 400


class InvalidHours(OpenAlertError):
    """Hours cannot be understood; `field` is the part at fault, like “mon.from”."""

    code = "invalid_hours"
    status = 400


class ServiceNameTaken(OpenAlertError):
    code = "service_name_taken"
    detail = "The team has a service of this name already."
    status = 409


class NotTheTeamsPolicy(OpenAlertError):
    code = "not_the_teams_policy"
    detail = "Choose a policy of the service's own team."
    status = 400
