from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    name = "escalations"

    def ready(self) -> None:
        from . import coverage_checks, incident_parts, receivers, unpaged, vitals

        coverage_checks.connect()
        receivers.connect()
        incident_parts.connect()
        unpaged.connect()
        vitals.connect()
