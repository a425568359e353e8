"""What came in last, kept for the people who set an integration up."""

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis

from alerts import samples
from alerts.samples import Keeper, Sample, recent, without_credentials

KEY = "0123456789abcdef0123456789abcdef"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keeper(clock, monkeypatch):
    monkeypatch.setattr(samples, "SECONDS_BETWEEN_WRITES", 0)
    keeper = Keeper(clock=clock)
    yield keeper
    keeper.close()


@pytest.fixture
def kept(keeper):
    def kept(integration_id):
        keeper.close()
        return recent(integration_id)

    return kept


def test_payload_is_kept_with_what_helps_to_read_it(keeper, kept):
    integration = str(uuid4())
    before = datetime.now(UTC)
    keeper.keep(
        integration,
        b'{"title": "Disk full"}',
        {
            "content-type": "application/json",
            "user-agent": "Alertmanager/0.28",
            "authorization": "Bearer " + KEY,
            "cookie": "session=1",
            "x-hub-signature-256": "sha256=0",
            "x-api-key": KEY,
        },
    )
    [sample] = kept(integration)
    assert sample == Sample(
        sample.at,
        b'{"title": "Disk full"}',
        {"content-type": "application/json", "user-agent": "Alertmanager/0.28"},
        "",
    )
    assert before <= sample.at <= datetime.now(UTC)
    assert recent(uuid4()) == []


def test_newest_ten_are_kept_for_a_week(keeper, clock, kept, valkey):
    integration = str(uuid4())
    for number in range(12):
        keeper.keep(integration, b"%d" % number, {}, "No." if number % 2 else "")
        clock.now += 1
    assert [(sample.body, sample.refusal) for sample in kept(integration)] == [
        (b"%d" % number, "No." if number % 2 else "") for number in range(11, 1, -1)
    ]
    [name] = valkey.keys("*samples*")
    assert timedelta(days=6, hours=23) < timedelta(seconds=valkey.ttl(name)) <= timedelta(days=7)


def test_first_of_each_second_is_kept_for_each_integration(keeper, clock, kept):
    one, other = str(uuid4()), str(uuid4())
    for step in range(5):
        keeper.keep(one, b"%d" % step, {})
        keeper.keep(other, b"%d" % step, {})
        clock.now += 0.4
    assert [sample.body for sample in kept(one)] == [b"3", b"0"]
    assert [sample.body for sample in kept(other)] == [b"3", b"0"]


def test_integrations_that_are_remembered_are_bounded(keeper, monkeypatch):
    monkeypatch.setattr(samples, "MOST_REMEMBERED", 3)
    for number in range(10):
        keeper.keep(f"{number}", b"", {})
    assert list(keeper._next) == ["7", "8", "9"]


def test_large_body_is_cut(keeper, kept):
    integration = str(uuid4())
    keeper.keep(integration, b"x" * 1_000_000, {"user-agent": "y" * 5000})
    [sample] = kept(integration)
    assert (len(sample.body), sample.is_cut, len(sample.headers["user-agent"])) == (64 * 1024, True, 1000)


def test_key_across_the_cut_is_not_kept(keeper, kept):
    integration = str(uuid4())
    body = b" " * (64 * 1024 - 20) + b'{"routing_key": "%s"}' % KEY.encode()
    keeper.keep(integration, body, {})
    [sample] = kept(integration)
    assert b"0123" not in sample.body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"routing_key": "R0", "a": "b"}', '{"routing_key": "…", "a": "b"}'),
        (b'{"apiKey":"a\\"b","Password" : "p"}', '{"apiKey":"…","Password" : "…"}'),
        (b'{"x": {"access_token": "t", "tokens": "3"}}', '{"x": {"access_token": "…", "tokens": "3"}}'),
        (b'{"Message": "{\\"api_key\\": \\"k\\", \\"b\\": 1}"}', None),
        (b'{"routing_key": "never ends', '{"routing_key": "…'),
        (b"title=x&api_key=k&source=y", "title=x&api_key=…&source=y"),
        (b'{"SubscribeURL": "https://sns/?a=b&Token=t"}', '{"SubscribeURL": "https://sns/?a=b&Token=…"}'),
        (b'{"url": "/integrations/x/' + KEY.encode() + b'"}', '{"url": "/integrations/x/…"}'),
        (b"To: fedcba98765432100123456789abcdef@in.example.org", "To: …cdef@in.example.org"),
        (b'{"key": "KEY-1", "secret": "db-credentials"}', '{"key": "KEY-1", "secret": "db-credentials"}'),
        (b"\xff\x00", None),
    ],
)
def test_credentials_are_replaced(body, expected):
    found = without_credentials(body, KEY)
    if expected is not None:
        assert found.decode() == expected
    elif body.startswith(b"{"):
        assert json.loads(json.loads(found)["Message"]) == {"api_key": "…", "b": 1}
    else:
        assert found == body


def test_masking_a_hostile_body_is_quick():
    for unit in (b'"api_key":"\\', b'"token" ', b'\\"token\\":\\"', b"?token=", b"0123456789abcdef"):
        body = unit * (samples.MAX_BODY_BYTES // len(unit))
        began = time.perf_counter()
        without_credentials(body, KEY)
        assert time.perf_counter() - began < 0.5


def test_server_that_is_away_is_in_nobodys_way(settings, caplog, keeper, clock):
    settings.REDIS_URL = "redis://127.0.0.1:1"
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            keeper.keep("one", b"{}", {})
            clock.now += 1
        keeper.close()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["samples cannot be kept"]
    assert recent("one") == []
    samples.forget("one")


def test_what_waits_is_bounded(keeper, monkeypatch):
    monkeypatch.setattr(keeper, "_start", lambda: None)
    for number in range(200):
        keeper.keep(f"{number}", b"{}", {})
    assert keeper._waiting.qsize() == samples.MOST_WAITING


def test_keeping_goes_on_after_a_fault(keeper, clock, kept, monkeypatch):
    integration = str(uuid4())
    keeper.keep(integration, b"1", {"user-agent": None})  # no header looks so
    clock.now += 1
    keeper.keep(integration, b"2", {})
    assert [sample.body for sample in kept(integration)] == [b"2"]


def test_samples_of_another_version_are_passed_over(keeper, kept, valkey):
    integration = str(uuid4())
    keeper.keep(integration, b"1", {})
    assert len(kept(integration)) == 1
    valkey.lpush(f"openalert:samples:{integration}", b"\xc1")
    assert [sample.body for sample in recent(integration)] == [b"1"]
    samples.forget(integration)
    assert recent(integration) == []


def test_payload_that_is_one_too_many_costs_next_to_nothing():
    keeper = Keeper()
    keeper._next["one"] = time.monotonic() + 1000
    headers = {"content-type": "application/json"}
    best = min(_time(keeper, headers) for _ in range(5))
    assert best < 1e-6


def _time(keeper, headers, times=20_000):
    began = time.perf_counter()
    for _ in range(times):
        keeper.keep("one", b"{}", headers)
    return (time.perf_counter() - began) / times


def test_client_has_time_limits():
    options = samples._client("redis://localhost:6379/0").connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (1.0, 1.0)
    assert isinstance(samples._client("redis://localhost:6379/0"), redis.Redis)
