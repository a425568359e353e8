from django.apps import AppConfig


class OpenAlertConfig(AppConfig):
    name = "openalert"
    verbose_name = "OpenAlert"

    def ready(self) -> None:
        from openalert.audit import sign_ins, tracking

        tracking.start()
        sign_ins.start()
