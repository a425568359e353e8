"""Everything in one terminal: the embedded servers, web, worker, sender, beat and the mail listener."""

import contextlib
import errno
import http.client
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections

from openalert import encryption
from openalert.embedded.errors import EmbeddedError
from openalert.embedded.process import Program
from openalert.embedded.servers import EmbeddedServers
from openalert.settings import environment
from openalert.supervisor import Supervisor, Terminal, asked_to_end

HOST = "127.0.0.1"
NAMES = ("openalert", "web", "worker", "sender", "beat", "mail", "postgres", "valkey")
# What Celery thinks of DEBUG and of root need not be said at every start.
QUIET = "ignore:::celery.fixups.django,ignore:::celery.platforms,ignore:StreamingHttpResponse must consume"


class Command(BaseCommand):
    help = (
        "Starts everything: PostgreSQL and Valkey (unless DATABASE_URL and REDIS_URL name others), the tables, the "
        "demo on the first run, web, worker, sender, beat and the mail listener. Ctrl-C ends all of it."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-demo",
            action="store_false",
            dest="demo",
            help="start empty: the first visit leads to the set-up page, and that to the first steps",
        )

    def handle(self, *args: Any, demo: bool, **options: Any) -> None:
        self.wants_demo = demo
        self.environment = environment
        self.terminal = Terminal(NAMES)
        self.supervisor = Supervisor(self.terminal)
        self.servers = EmbeddedServers(self.environment.places) if self.environment.embedded else None
        self.is_ready = False
        with asked_to_end(hurry=self.supervisor.kill):
            try:
                self.start()
                self.supervisor.run(self.tell_when_ready)
            except KeyboardInterrupt:
                self.say("stopping")
            except EmbeddedError as error:
                sys.exit(str(error))
            finally:
                self.supervisor.stop()
                if self.servers:
                    self.servers.stop()
        self.say("everything has ended")

    def say(self, line: str) -> None:
        self.terminal.say("openalert", line)

    def start(self) -> None:
        if self.servers:
            self.servers.claim()
        check_port("PORT", HOST, self.environment.port)
        mail = self.environment.mail_intake
        if mail.port:
            check_port("INTAKE_SMTP_PORT", mail.host, mail.port)
        if self.servers:
            self.say(f"starting PostgreSQL and Valkey, data in {self.environment.places.data}")
            self.servers.start()
            for child in self.servers.children:
                self.supervisor.watch(child)
        self.say("bringing the tables up to date")
        call_command("migrate", interactive=False, verbosity=0)
        if self.servers:
            encryption.rotate()  # what an older version left plain
            if self.wants_demo:
                call_command("seed_demo")
        connections.close_all()
        programs = commands(
            self.environment.port, self.environment.worker_concurrency, takes_mail=bool(mail.port)
        )
        self.say(f"starting {', '.join(programs)}")
        for name, command in programs.items():
            self.supervisor.start(
                Program(
                    name=name,
                    command=(sys.executable, "-m", *command),
                    folder=settings.BASE_DIR,
                    environment={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": QUIET},
                )
            )

    def tell_when_ready(self) -> None:
        """Once web, worker, sender and courier answer, say where to go."""
        if self.is_ready or not (web_answers(self.environment.port) and workers_answer()):
            return
        self.is_ready = True
        lines = [f"open http://{HOST}:{self.environment.port}"]
        if self.environment.embedded:
            lines = self.where_to_begin() or lines
        for line in [*lines, "ready; Ctrl-C ends everything"]:
            self.say(line)

    def where_to_begin(self) -> list[str]:
        """Nothing where people have set it up themselves."""
        from openalert import demo
        from teams import first_admin

        try:
            if demo.sign_ins_there():
                return demo.first_steps()
            if first_admin.is_wanted():
                return [f"open {settings.SITE_URL}/set-up/", f"set-up code  {first_admin.set_up_code()}"]
            return []
        except DatabaseError:
            return []
        finally:
            connections.close_all()


def commands(port: int, concurrency: int, *, takes_mail: bool) -> dict[str, list[str]]:
    """The programs, as arguments of `python -m`."""
    web = ["uvicorn", "openalert.asgi:application", "--host", HOST, "--port", str(port)]
    web += ["--loop", "uvloop", "--http", "openalert.http_protocol:Protocol"]
    # Messages are short: compressing them would cost each connection more memory than all else.
    web += ["--ws", "openalert.websocket_protocol:Protocol", "--ws-max-size", "65536"]
    web += ["--lifespan", "on"]
    web += ["--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    celery = ["celery", "-A", "openalert", "--quiet"]
    worker = [*celery, "worker", "--pool", "threads", "--without-gossip", "--without-mingle"]
    worker += ["--loglevel", "warning"]
    programs = {
        "web": web,
        "worker": [*worker, "--queues", "openalert", "--concurrency", "2", "--hostname", "worker@%h"],
        "sender": [
            *worker,
            "--queues",
            "delivery",
            "--concurrency",
            str(concurrency),
            "--hostname",
            "sender@%h",
        ],
        "courier": [*worker, "--queues", "webhooks", "--concurrency", "4", "--hostname", "courier@%h"],
        "beat": [*celery, "beat", "--loglevel", "warning", "--pidfile", ""],
    }
    if takes_mail:
        programs["mail"] = ["django", "receive_mail"]
    return programs


def check_port(name: str, host: str, port: int) -> None:
    """End with a message when nobody could listen there; `name` is the variable that sets the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                reason = "is in use by another program"
            else:
                reason = f"cannot be used ({(error.strerror or str(error)).lower()})"
            sys.exit(
                f"Port {port} of {host} {reason}. Name another one in {name}, like: {name}={port + 1} make run"
            )


def web_answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(
            "GET", "/accounts/login/", headers={"Host": settings.ALLOWED_HOSTS[0].lstrip(".*")}
        )
        return connection.getresponse().status < 500
    return False


def workers_answer() -> bool:
    return len(current_app.control.ping(timeout=0.5, limit=3)) == 3
