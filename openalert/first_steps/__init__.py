"""The guide for an empty installation: team, people, schedule, policy, service, integration, test page. See docs/first-steps.md.

It names all apps, as the demo does. What it makes, it makes by the same calls as their pages and the API.
"""
