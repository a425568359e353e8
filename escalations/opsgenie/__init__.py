"""Opsgenie's Alert API v2 and Heartbeat API, but for creating alerts, which is a format of intake.

Sources: opsgenie/opsgenie-oas: swagger.json; docs.opsgenie.com/docs/alert-api. A key sees the alerts of its
integration's team. Where our model differs:

- Acknowledging, snoozing, escalating, assigning and notes are the incident's matter, so they concern all alerts
  that share it. Group the integration's alerts by nothing to have an incident for each, as Opsgenie has.
- A tiny id is the number of the incident: it finds the incident's first firing alert, and closing by it resolves
  the incident.
- Closing resolves the alert. The incident follows by its service's setting; when the request names a `user`, it
  also follows where the service leaves that to people, once none of its alerts is firing.
- Nothing is deleted: DELETE closes.
- What is answered 202 has been carried out; the status of the request says whether it succeeded.
"""
