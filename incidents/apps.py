from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    name = "incidents"

    def ready(self) -> None:
        from . import receivers
        from .reports import sections

        receivers.connect()
        sections.connect()
