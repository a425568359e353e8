from django.apps import AppConfig


class OpenAlertConfig(AppConfig):
    name = "openalert"
    verbose_name = "OpenAlert"
