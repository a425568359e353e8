from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"

    def ready(self) -> None:
        from . import incident_parts, receivers, report_parts, service_obstacles

        receivers.connect()
        incident_parts.connect()
        report_parts.connect()
        service_obstacles.connect()
