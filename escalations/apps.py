from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    name = "escalations"

    def ready(self) -> None:
        from . import coverage_checks, incident_parts, receivers, report_parts, unpaged, vitals

        coverage_checks.connect()
        receivers.connect()
        incident_parts.connect()
        unpaged.connect()
        vitals.connect()
        report_parts.connect()
