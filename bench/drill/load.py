"""The monitoring systems and the people of the drill: alerts in three formats, acknowledgements, resolves.

Like real clients they send again what was not answered, or answered 5xx, to whichever web process takes it. Who does
what and when is decided by the seed; what was answered is kept.
"""

import asyncio
import random
import time
from dataclasses import dataclass, field

import httpx

from .scene import Door, Scene

RETRY_SECONDS = 0.5
TIMEOUT_SECONDS = 8.0
FATES = {"silence": 5, "acknowledge": 4, "resolve": 3, "resolve by hand": 1}
SEVERITIES = ("critical", "high", "medium", "low")
PAGERDUTY_SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}


@dataclass
class Problem:
    """One alert with an incident of its own. Times are Unix seconds, None for what was not answered 2xx."""

    key: str
    door: Door
    severity: str
    fate: str
    after: float  # seconds until its fate
    sent_at: float = 0.0
    accepted_at: float | None = None
    answered_at: float | None = None  # acknowledged or resolved
    told_resolved: bool = False


@dataclass
class Load:
    scene: Scene
    ports: list[int]
    seed: int
    seconds: float
    rate: float  # requests a second
    patience: float  # seconds after the end for which what is not answered is sent again
    problems: list[Problem] = field(default_factory=list)
    requests: int = 0
    refused: int = 0  # 5xx
    unanswered: int = 0
    unexpected: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # what was refused or not answered

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        chooser = random.Random(f"load {self.seed}")
        self._deadline = time.monotonic() + self.seconds + self.patience
        self._turn = 0
        began = time.monotonic()
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as self._client, asyncio.TaskGroup() as group:
            self._tokens = [await self._sign_in(email) for email in self.scene["people"]]
            after = 0.0
            while after < self.seconds:
                await asyncio.sleep(began + after - time.monotonic())
                problems = self._next_problems(chooser)
                self.problems += problems
                group.create_task(self._live_through(problems, random.Random(chooser.random())))
                after += chooser.expovariate(self.rate)

    def _next_problems(self, chooser: random.Random) -> list[Problem]:
        door = chooser.choice(self.scene["doors"])
        size = 1 if door["format"] == "pagerduty" else chooser.choice([1, 1, 1, 4])
        return [
            Problem(
                key=f"problem-{len(self.problems) + n}",
                door=door,
                severity=chooser.choice(SEVERITIES),
                fate=chooser.choices(list(FATES), list(FATES.values()))[0],
                after=chooser.uniform(0.2, 14),
            )
            for n in range(size)
        ]

    async def _live_through(self, problems: list[Problem], chooser: random.Random) -> None:
        """The alerts are sent, perhaps twice, and each meets its fate."""
        await self._send(problems, "firing")
        if chooser.random() < 0.2:
            await asyncio.sleep(chooser.uniform(0, 2))
            await self._send(problems, "firing")
        async with asyncio.TaskGroup() as group:
            for problem in problems:
                if problem.accepted_at and problem.fate != "silence":
                    group.create_task(self._meet_fate(problem, chooser.choice(self._tokens)))

    async def _meet_fate(self, problem: Problem, token: str) -> None:
        await asyncio.sleep(problem.after)
        if problem.fate == "resolve":
            await self._send([problem], "resolved")
            return
        headers = {"Authorization": f"Bearer {token}"}
        found = await self._ask("GET", f"/api/v1/incidents?search={problem.key}.", headers=headers)
        if found is None:
            return
        for incident in found.json()["results"]:
            action = "acknowledge" if problem.fate == "acknowledge" else "resolve"
            if await self._ask("POST", f"/api/v1/incidents/{incident['id']}/{action}", headers=headers):
                problem.answered_at = time.time()
                problem.told_resolved = action == "resolve"

    async def _send(self, problems: list[Problem], status: str) -> None:
        for problem in problems:
            problem.sent_at = problem.sent_at or time.time()
        door = problems[0].door
        if door["format"] == "pagerduty":
            [problem] = problems
            answer = await self._ask("POST", "/v2/enqueue", json=_pagerduty(problem, status))
        elif door["format"] == "alertmanager":
            path = f"/integrations/alertmanager/{door['key']}"
            answer = await self._ask("POST", path, json=_alertmanager(problems, status))
        else:
            headers = {"Authorization": f"Bearer {door['key']}"}
            body = [_openalert(problem, status) for problem in problems]
            answer = await self._ask("POST", "/api/v1/alerts", json=body, headers=headers)
        if answer is None:
            return
        for problem in problems:
            if status == "firing":
                problem.accepted_at = problem.accepted_at or time.time()
            else:
                problem.answered_at, problem.told_resolved = time.time(), True

    async def _sign_in(self, email: str) -> str:
        body = {"email": email, "password": self.scene["password"]}
        answer = await self._ask("POST", "/api/v1/auth/token", json=body)
        if answer is None:
            raise RuntimeError(f"{email} could not sign in: {self.unexpected}")
        return answer.json()["access"]

    async def _ask(self, method: str, path: str, **options: object) -> httpx.Response | None:
        """The first 2xx of whichever web answers it; None for another answer, or when the time is up."""
        while time.monotonic() < self._deadline:
            self._turn += 1
            port = self.ports[self._turn % len(self.ports)]
            self.requests += 1
            try:
                answer = await self._client.request(method, f"http://127.0.0.1:{port}{path}", **options)
            except httpx.HTTPError as error:
                self.unanswered += 1
                self.failures.append(f"{method} {path}: {error!r}")
            else:
                if answer.is_success:
                    return answer
                if answer.status_code < 500:
                    self.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
                    return None
                self.refused += 1
                self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(RETRY_SECONDS)
        return None


def _openalert(problem: Problem, status: str) -> dict[str, object]:
    return {
        "external_id": problem.key,
        "title": f"{problem.key}. is broken",
        "severity": problem.severity,
        "status": status,
    }


def _pagerduty(problem: Problem, status: str) -> dict[str, object]:
    return {
        "routing_key": problem.door["key"],
        "event_action": "trigger" if status == "firing" else "resolve",
        "dedup_key": problem.key,
        "payload": {
            "summary": f"{problem.key}. is broken",
            "source": "drill",
            "severity": PAGERDUTY_SEVERITIES[problem.severity],
        },
    }


def _alertmanager(problems: list[Problem], status: str) -> dict[str, object]:
    alerts = [
        {
            "status": status,
            "labels": {"alertname": problem.key, "severity": problem.severity},
            "annotations": {"summary": f"{problem.key}. is broken"},
            "startsAt": "2026-03-02T12:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": problem.key,
        }
        for problem in problems
    ]
    return {"version": "4", "groupKey": "{}", "status": status, "receiver": "drill", "alerts": alerts}
