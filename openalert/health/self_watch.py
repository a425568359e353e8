"""The self-watch: when the installation is not well, it says so by ways that need nothing of what may have stalled.

Each web process has a thread that looks every few seconds. One of them is elected by a row in the database; it alone
tells the operators, by a mail and a webhook of its own making, and sends a heartbeat to a second watcher outside, which
ends when we are not well. No worker, no beat, no outbox and no Redis is needed. While the database is away nobody can be
elected: then a key in Redis decides who tells, and without that too each web process tells for itself, for two messages
are better than none.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import redis
import urllib3
from django.conf import settings
from django.core.mail import EmailMessage

from openalert import shared_redis
from openalert.election import Candidate

from . import checks, vitals
from .checks import Check

logger = logging.getLogger(__name__)

NAME = "self-watch"
INTERVAL_SECONDS = 5.0
OFFICE_SECONDS = 20.0
# A restart, or a hiccup, is nobody's business.
PATIENCE_SECONDS = 30.0
REMIND_SECONDS = 3600.0
# Whoever was not reached is tried again so soon.
AGAIN_SECONDS = 30.0
WEBHOOK_SECONDS = 5.0
REDIS_KEY = "openalert:self-watch"
# Their absence alone makes nothing late.
HARMLESS = ("beat", "redis")


@dataclass(frozen=True)
class Told:
    """What operators know: since when it lasts and when they were last told (seconds since 1970)."""

    since: float
    at: float


class Watch:
    """One process's self-watch. `look` is one look; `Thread` makes them."""

    def __init__(self) -> None:
        self.candidate = Candidate(NAME, seconds=OFFICE_SECONDS)
        self._since: dict[str, float] = {}
        self._told: dict[str, Told] = {}
        self._tried_at = float("-inf")
        self._beat_at = float("-inf")
        self._started_at = time.time()

    def look(self) -> None:
        """Look, and tell whoever has to be told. Never raises for what is away."""
        try:
            with vitals.line() as line:
                found = [checks.redis_check(), *checks.of(vitals.read(line))]
                if not self.candidate.stand(line.fetch):
                    self._since.clear()
                    return
                self._told |= _told_of(self.candidate.state)
                if self._judge(found):
                    self.candidate.remember(line.fetch, _state_of(self._told))
        except psycopg.Error as error:
            logger.error("self-watch: the database cannot be asked: %s", error)
            gone = Check(
                "database", False, "PostgreSQL cannot be asked: no alert is taken and nobody is paged."
            )
            self._judge([gone], may_tell=self._is_elected_without_database())
        self._beat()

    def resign(self) -> None:
        with contextlib.suppress(psycopg.Error), vitals.line() as line:
            self.candidate.resign(line.fetch)

    def _is_elected_without_database(self) -> bool:
        try:
            client = shared_redis.client()
            client.set(REDIS_KEY, self.candidate.holder, nx=True, ex=round(OFFICE_SECONDS))
            if client.get(REDIS_KEY) != self.candidate.holder:
                return False
            client.expire(REDIS_KEY, round(OFFICE_SECONDS))
            return True
        except redis.RedisError:
            return True

    def _judge(self, found: Sequence[Check], *, may_tell: bool = True) -> bool:
        """Whether what operators know has changed."""
        now = time.time()
        failing = {c.name: c for c in found if not c.is_ok and c.name not in HARMLESS}
        for name in failing:
            # What has never happened is given the time that we are here.
            self._since.setdefault(name, now)
        # With the database away nothing is known of the others: they are neither better nor worse.
        if "database" not in failing:
            self._since = {name: since for name, since in self._since.items() if name in failing}
        lasting = {
            name: check for name, check in failing.items() if now - self._since[name] >= PATIENCE_SECONDS
        }
        news = [
            check
            for name, check in lasting.items()
            if name not in self._told or now - self._told[name].at >= REMIND_SECONDS
        ]
        over = [] if "database" in failing else [name for name in self._told if name not in failing]
        if not may_tell or not (news or over) or time.monotonic() - self._tried_at < AGAIN_SECONDS:
            return False
        if not tell(news, over, still=[c for c in lasting.values() if c not in news]):
            self._tried_at = time.monotonic()
            return False
        self._tried_at = float("-inf")
        for check in news:
            since = self._told[check.name].since if check.name in self._told else self._since[check.name]
            self._told[check.name] = Told(since, now)
        for name in over:
            del self._told[name]
        return True

    def _beat(self) -> None:
        """The heartbeat for the second watcher: only from the elected one, and only while all is well."""
        is_well = self.candidate.is_elected and not self._since
        if not settings.HEARTBEAT_URL or not is_well:
            return
        if time.monotonic() - self._beat_at < settings.HEARTBEAT_SECONDS:
            return
        if _request("GET", settings.HEARTBEAT_URL):
            self._beat_at = time.monotonic()


def _told_of(state: dict[str, Any]) -> dict[str, Told]:
    return {name: Told(**told) for name, told in state.get("told", {}).items()}


def _state_of(told: dict[str, Told]) -> dict[str, Any]:
    return {"told": {name: {"since": one.since, "at": one.at} for name, one in told.items()}}


def tell(news: Sequence[Check], over: Sequence[str], *, still: Sequence[Check] = ()) -> bool:
    """Tell operators of what is wrong and of what is well again. Whether any way to them worked, or there is none."""
    is_well = not news and not still
    lines = [f"{check.name}: {check.detail}" for check in (*news, *still)]
    lines += [f"{name}: well again." for name in over]
    for text in lines:
        logger.error("self-watch: %s", text) if not is_well else logger.warning("self-watch: %s", text)
    subject = (
        "OpenAlert is well again" if is_well else f"OpenAlert is not well: {', '.join(_names(news, still))}"
    )
    ways = []
    if settings.OPERATORS_EMAIL:
        ways.append(_mail(subject, lines))
    if settings.OPERATORS_WEBHOOK_URL:
        body = {
            "source": "openalert",
            "site": settings.SITE_URL,
            "status": "well" if is_well else "unwell",
            "summary": subject,
            "at": datetime.now(UTC).isoformat(),
            "failing": [{"check": check.name, "detail": check.detail} for check in (*news, *still)],
            "well_again": list(over),
        }
        ways.append(_request("POST", settings.OPERATORS_WEBHOOK_URL, json=body))
    return any(ways) or not ways


def _names(news: Sequence[Check], still: Sequence[Check]) -> list[str]:
    return [check.name for check in (*news, *still)]


def _mail(subject: str, lines: Sequence[str]) -> bool:
    """Straight to the mail server, past the outbox."""
    where = f"{settings.SITE_URL}/queues/ shows more, if it answers."
    email = EmailMessage(
        subject=subject,
        body="\n".join([*lines, "", where, "Sent by the self-watch of a web process."]),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=settings.OPERATORS_EMAIL,
        headers={"Auto-Submitted": "auto-generated", "Importance": "high"},
    )
    try:
        return bool(email.send())
    except Exception as error:  # whatever the backend raises: the webhook may still work
        logger.error("self-watch: the operators' mail was not taken: %s", error)
        return False


def _request(method: str, url: str, **body: Any) -> bool:
    try:
        with urllib3.PoolManager(timeout=WEBHOOK_SECONDS, retries=False) as pool:
            response = pool.request(method, url, headers={"User-Agent": "OpenAlert"}, **body)
    except urllib3.exceptions.HTTPError as error:
        logger.error("self-watch: %s did not answer: %s", url, error)
        return False
    if response.status >= 300:
        logger.error("self-watch: %s answered %s", url, response.status)
    return response.status < 300


class Thread(threading.Thread):
    """Looks every INTERVAL_SECONDS until it is ended."""

    def __init__(self) -> None:
        super().__init__(name=NAME, daemon=True)
        self._watch = Watch()
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(INTERVAL_SECONDS):
            try:
                self._watch.look()
            except Exception:  # a fault of ours must not end the watch
                logger.exception("self-watch: it failed")

    def end(self) -> None:
        """Another web process may be elected at once."""
        self._ending.set()
        if self.is_alive():
            self.join(INTERVAL_SECONDS)
        self._watch.resign()
