from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    name = "escalations"

    def ready(self) -> None:
        from . import coverage, incident_parts, receivers

        receivers.connect()
        incident_parts.connect()
        coverage.connect()
