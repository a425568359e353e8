from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        from . import receivers, vitals
        from .reports import sections

        receivers.connect()
        vitals.connect()
        sections.connect()
