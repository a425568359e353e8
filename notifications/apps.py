from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from . import coverage_checks, receivers, vitals

        coverage_checks.connect()
        receivers.connect()
        vitals.connect()
