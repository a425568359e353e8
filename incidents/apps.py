from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        from . import receivers, vitals

        receivers.connect()
        vitals.connect()
