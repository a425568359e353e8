"""What is said back in a chat after a button was pressed there."""

import logging

from openalert import outward

from .exceptions import DeliveryError
from .transports import http

logger = logging.getLogger(__name__)


def tell_slack(response_url: str, answer: str) -> None:
    """POST the answer, as JSON, to the address that came with Slack's signed request."""
    try:
        with http.told("Slack"), outward.guarded(), outward.session() as session:
            given = session.post(
                response_url,
                data=answer.encode(),
                headers={"Content-Type": "application/json"},
                timeout=http.timeouts(),
                allow_redirects=False,
            )
    except DeliveryError as error:
        logger.warning("Slack was not told what became of a button: %s", error)
        return
    if not given.ok:
        logger.warning("Slack was not told what became of a button: it answered %s", given.status_code)
