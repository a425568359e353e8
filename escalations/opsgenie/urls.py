"""The API's addresses, below /v2/. POST /v2/alerts does not come here: it is intake's (alerts.addresses)."""

from django.urls import path

from . import actions, heartbeats, views
from .calls import endpoint
from .views import carry_out

ANY = ("GET", "POST", "PUT", "PATCH")

# An alias may have slashes, so the addresses with an end of their own come first.
urlpatterns = [
    path("alerts", endpoint(GET=views.list_alerts)),
    path("alerts/count", endpoint(GET=views.count_alerts)),
    path("alerts/requests/<str:request_id>", endpoint(GET=views.request_status)),
    path("alerts/<path:identifier>/close", endpoint(POST=carry_out(actions.CLOSE))),
    path("alerts/<path:identifier>/acknowledge", endpoint(POST=carry_out(actions.ACKNOWLEDGE))),
    path("alerts/<path:identifier>/unacknowledge", endpoint(POST=carry_out(actions.UNACKNOWLEDGE))),
    path("alerts/<path:identifier>/snooze", endpoint(POST=carry_out(actions.SNOOZE))),
    path("alerts/<path:identifier>/escalate", endpoint(POST=carry_out(actions.ESCALATE))),
    path("alerts/<path:identifier>/assign", endpoint(POST=carry_out(actions.ASSIGN))),
    path("alerts/<path:identifier>/responders", endpoint(POST=carry_out(actions.ADD_RESPONDER))),
    path("alerts/<path:identifier>/notes", endpoint(GET=views.list_notes, POST=carry_out(actions.ADD_NOTE))),
    path("alerts/<path:identifier>/logs", endpoint(GET=views.list_logs)),
    path(
        "alerts/<path:identifier>/tags",
        endpoint(POST=carry_out(actions.ADD_TAGS), DELETE=carry_out(actions.REMOVE_TAGS)),
    ),
    path(
        "alerts/<path:identifier>/details",
        endpoint(POST=carry_out(actions.ADD_DETAILS), DELETE=carry_out(actions.REMOVE_DETAILS)),
    ),
    path("alerts/<path:identifier>/message", endpoint(PUT=carry_out(actions.SET_MESSAGE))),
    path("alerts/<path:identifier>/description", endpoint(PUT=carry_out(actions.SET_DESCRIPTION))),
    path("alerts/<path:identifier>/priority", endpoint(PUT=carry_out(actions.SET_PRIORITY))),
    path("alerts/<path:identifier>", endpoint(GET=views.get_alert, DELETE=carry_out(actions.DELETE))),
    path("heartbeats", endpoint(GET=heartbeats.list_all, POST=heartbeats.add)),
    path("heartbeats/<path:name>/ping", endpoint(**dict.fromkeys(ANY, heartbeats.ping))),
    path("heartbeats/<path:name>/enable", endpoint(**dict.fromkeys(ANY[1:], heartbeats.enable))),
    path("heartbeats/<path:name>/disable", endpoint(**dict.fromkeys(ANY[1:], heartbeats.disable))),
    path(
        "heartbeats/<path:name>",
        endpoint(
            GET=heartbeats.get, PATCH=heartbeats.update, PUT=heartbeats.update, DELETE=heartbeats.delete
        ),
    ),
]
