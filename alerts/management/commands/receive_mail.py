"""The process that takes mail for integrations."""

import asyncio
import signal
import ssl
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from alerts.smtp import Listener, tls_context


class Command(BaseCommand):
    help = (
        "Takes mail for integrations by SMTP on INTAKE_SMTP_HOST:INTAKE_SMTP_PORT, until it is told to end. "
        "SIGHUP reads the certificate again."
    )
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.INTAKE_SMTP_PORT:
            raise CommandError("INTAKE_SMTP_PORT is 0: mail is not to be taken.")
        place = f"{settings.INTAKE_SMTP_HOST}:{settings.INTAKE_SMTP_PORT}"
        try:
            asyncio.run(self.listen(self.certificate()))
        except OSError as failure:
            raise CommandError(f"Mail cannot be taken on {place}: {failure}") from failure

    def certificate(self) -> ssl.SSLContext | None:
        if not settings.INTAKE_SMTP_CERTIFICATE:
            return None
        try:
            return tls_context(settings.INTAKE_SMTP_CERTIFICATE, settings.INTAKE_SMTP_CERTIFICATE_KEY)
        except OSError as failure:
            raise CommandError(f"INTAKE_SMTP_CERTIFICATE cannot be used: {failure}") from failure

    async def listen(self, tls: ssl.SSLContext | None) -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        loop.add_signal_handler(signal.SIGHUP, self.renew, tls)
        await Listener(host=settings.INTAKE_SMTP_HOST, port=settings.INTAKE_SMTP_PORT, tls=tls).run(told)

    def renew(self, tls: ssl.SSLContext | None) -> None:
        """Use a new certificate for the connections that come; keep the old one when it is faulty."""
        if tls is None:
            return
        try:
            tls.load_cert_chain(settings.INTAKE_SMTP_CERTIFICATE, settings.INTAKE_SMTP_CERTIFICATE_KEY)
        except OSError as failure:
            self.stderr.write(f"The new certificate cannot be used: {failure}")
