"""Named failures of the teams app."""

from openalert.exceptions import OpenAlertError


class EndsBeforeStart(OpenAlertError):
    code = "ends_before_start"
    detail = "It must end after it starts."


class OverrideInThePast(OpenAlertError):
    code = "override_in_the_past"
    detail = "It must end in the future: what has been is not rewritten."


class NotAResponder(OpenAlertError):
    """Only those who may answer a page may be put on call."""

    code = "not_a_responder"
    detail = "Choose a responder or a manager of the team."


class DependsOnItself(OpenAlertError):
    code = "depends_on_itself"
    detail = "A service cannot depend on itself."


class DependencyExists(OpenAlertError):
    code = "dependency_exists"
    status = 409

    def __init__(self, *, service: object, upstream: object) -> None:
        super().__init__(f"{service} depends on {upstream} already.", field="upstream")


class DependencyCycle(OpenAlertError):
    """Neither of two services can be upstream of the other when both are."""

    code = "dependency_cycle"
    status = 409

    def __init__(self, *, service: object, upstream: object) -> None:
        super().__init__(f"{upstream} itself depends on {service}, maybe through others.", field="upstream")


class OverrideIsOver(OpenAlertError):
    code = "override_is_over"
    detail = "This override is over, and stays as it was."
    status = 409


class LayerIsGone(OpenAlertError):
    """Somebody else removed or changed it meanwhile."""

    code = "layer_is_gone"
    detail = "This layer was changed or removed meanwhile. Look again."
    status = 409
