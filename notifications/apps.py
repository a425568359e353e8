from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from . import coverage_checks, receivers, report_parts, vitals

        coverage_checks.connect()
        receivers.connect()
        report_parts.connect()
        vitals.connect()
