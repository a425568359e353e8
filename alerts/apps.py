from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from . import incident_parts, receivers, report_parts

        receivers.connect()
        incident_parts.connect()
        report_parts.connect()
