"""Prints what happens, as it happens: a client of the live rooms."""

import asyncio
import getpass
import json
import os
import sys
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from incidents.live.client import LiveClient, NotSignedIn

TIMEOUT_SECONDS = 15


class Tokens:
    """Access tokens for a password, or the one that was given."""

    def __init__(self, url: str, *, token: str = "", email: str = "", password: str = "") -> None:
        self._url, self._email, self._password = url.rstrip("/"), email, password
        self._access, self._refresh = token, ""

    async def __call__(self, is_renewal: bool) -> str:
        if self._email and (is_renewal or not self._access):
            await asyncio.to_thread(self._renew)
        return self._access

    def _renew(self) -> None:
        try:
            answer = self._post("auth/token/refresh", {"refresh": self._refresh}) if self._refresh else None
        except NotSignedIn:
            answer = None  # it was revoked, or has ended
        answer = answer or self._post("auth/token", {"email": self._email, "password": self._password})
        self._access, self._refresh = answer["access"], answer["refresh"]

    def _post(self, path: str, body: dict[str, str]) -> dict[str, str]:
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/api/v1/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as failure:
            if failure.code in (400, 401):
                raise NotSignedIn from failure
            raise  # as any other trouble on the way: it is tried again


class Command(BaseCommand):
    help = (
        "Prints what happens in your teams, and in rooms that you name, until Ctrl-C. Sign in with --email (the "
        "password is asked for, or taken from OPENALERT_PASSWORD) or with an access token in OPENALERT_TOKEN."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "rooms", nargs="*", help="incident:ID, service:ID or team:ID, besides your teams'"
        )
        parser.add_argument("--url", default=settings.SITE_URL, help="default: %(default)s")
        parser.add_argument("--email")
        parser.add_argument("--json", action="store_true", help="each message as a line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        url, email, token = options["url"], options["email"], os.environ.get("OPENALERT_TOKEN", "")
        if not url.startswith(("http://", "https://")):
            raise CommandError("--url has to begin with http:// or https://.")
        if not email and not token:
            raise CommandError("Say who you are: --email, or a token in OPENALERT_TOKEN.")
        password = (os.environ.get("OPENALERT_PASSWORD") or getpass.getpass()) if email else ""
        tokens = Tokens(url, token=token, email=email or "", password=password)
        client = LiveClient(url, tokens, options["rooms"])
        try:
            asyncio.run(self.print_all(client, as_json=options["json"]))
        except KeyboardInterrupt:
            sys.exit(130)
        except BrokenPipeError:
            sys.exit(0)
        except NotSignedIn as failure:
            raise CommandError(
                "The server does not let you in: the token is not valid (any more)."
            ) from failure
        except urllib.error.HTTPError as failure:
            raise CommandError(f"The server does not let you in: {failure}") from failure

    async def print_all(self, client: LiveClient, *, as_json: bool) -> None:
        last = None
        async for message in client.messages():
            if as_json:
                self.say(json.dumps(message))
            elif message["type"] != "event":
                if text := in_words(message):
                    self.say(f"{datetime.now().astimezone():%H:%M:%S}  {text}")
            elif message.get("cursor") != last or message["kind"] in ("presence", "alert.updated"):
                # The same event comes in each of its rooms.
                last = message.get("cursor")
                self.say(f"{datetime.now().astimezone():%H:%M:%S}  {event_in_words(message)}")

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def event_in_words(message: dict[str, Any]) -> str:
    """`incident.acknowledged  #42 Disk full (high, acknowledged)`"""
    data = message["data"]
    if "number" in data:
        what = f"#{data['number']} {data['title']} ({data['severity']}, {data['status']})"
    elif "people" in data:
        names = ", ".join(person["name"] for person in data["people"]) or "nobody"
        what = f"{data.get('schedule') or message['room']}: {names}"
    else:
        what = data.get("title") or message["room"]
    return f"{message['kind']:<24}{what}"


def in_words(message: dict[str, Any]) -> str:
    """Messages about the connection; "" for what nobody wants to know."""
    match message["type"]:
        case "welcome":
            return f"connected: {', '.join(message['rooms'])}"
        case "lost":
            return "the connection was lost; trying again"
        case "reset":
            return f"{message['room']}: what happened meanwhile is not kept any more"
        case "dropped":
            return f"{message['room']}: some of {message['kind']} were left out"
        case "subscribed" | "unsubscribed":
            return f"{message['type']}: {message['room']}"
        case "error":
            return f"error: {message['detail']} {message.get('room', '')}".rstrip()
    return ""
