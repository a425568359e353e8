"""What the guide cannot do, in words for the page."""

from openalert.exceptions import OpenAlertError


class AlertNotTaken(OpenAlertError):
    """By the integration's own rules, or for it is switched off."""

    code = "alert_not_taken"
    detail = "The integration’s rules drop the test alert or hold it back: nobody is paged."
    status = 409


class NobodyWouldBePaged(OpenAlertError):
    code = "nobody_would_be_paged"
    detail = "Nobody would be paged: no policy is in charge, or nobody is on call."
    status = 409
