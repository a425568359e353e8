"""The environment: what is needed, what it becomes, and what is said when it is wrong."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from openalert.environment import FaultyEnvironment, masked, read_environment

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "h5Jq0x8Zk3mVw7Rt1Yb9Nc4Ls6Pd2Gf-Kq8Tz5Hs1Wm9Xc3Vn6J"
FERNET_KEY = "b25seS1mb3ItdGVzdHMtMDEyMzQ1Njc4OS1hYmNkZWY="
OLD_FERNET_KEY = "b2xkZXItZm9yLXRlc3RzLTAxMjM0NTY3ODktYWJjZDA="
INSTALLATION = {
    "DATABASE_URL": "postgres://ana:p%40ss@db:5433/alerts",
    "REDIS_URL": "rediss://:pw@redis:6380/2",
    "SECRET_KEY": KEY,
    "ENCRYPTION_KEYS": f"{FERNET_KEY}, {OLD_FERNET_KEY}",
    "SITE_URL": "https://Alerts.example.org/",
    "ALLOWED_HOSTS": "alerts.example.org, .internal",
    "EMAIL_URL": "smtp+tls://me%40x.org:pw@smtp.example.org",
}


def faults(variables: dict[str, str], folder: Path) -> list[str]:
    with pytest.raises(FaultyEnvironment) as caught:
        read_environment(variables, folder)
    return [fault.name for fault in caught.value.faults]


def test_development_needs_nothing(tmp_path):
    found = read_environment({}, tmp_path)
    assert (found.embedded, found.debug, found.port) == (True, True, 8000)
    assert found.site_url == "http://127.0.0.1:8000"
    assert found.email.backend == "notifications.mailbox.MailboxBackend"
    assert found.database["NAME"] == "openalert"
    assert found.redis_url.startswith("unix:///")
    assert found.broker_url == found.redis_url.replace("unix", "redis+socket")


def test_development_key_is_made_once_and_kept_for_its_owner(tmp_path):
    first = read_environment({}, tmp_path)
    second = read_environment({"PORT": "8001"}, tmp_path)
    path = tmp_path / ".openalert" / "secret_key"
    assert first.secret_key == second.secret_key == path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = path.with_name("encryption_key")
    assert first.encryption_keys == second.encryption_keys == [key.read_text()]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == ["encryption_key", "secret_key"]


def test_installation_names_what_it_depends_on(tmp_path):
    found = read_environment(INSTALLATION, tmp_path)
    assert (found.embedded, found.debug, found.https) == (False, False, True)
    assert found.site_url == "https://alerts.example.org"
    assert found.allowed_hosts == ["alerts.example.org", ".internal"]
    assert found.encryption_keys == [FERNET_KEY, OLD_FERNET_KEY]
    assert {FERNET_KEY, OLD_FERNET_KEY} <= set(found.secrets)
    assert found.redis_url == found.broker_url == INSTALLATION["REDIS_URL"]
    assert {name: found.database[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")} == {
        "USER": "ana",
        "PASSWORD": "p@ss",
        "HOST": "db",
        "PORT": 5433,
        "NAME": "alerts",
    }
    assert found.database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert found.database["OPTIONS"]["pool"]["max_size"] == 20
    email = found.email
    assert (email.host, email.port, email.user, email.use_tls) == ("smtp.example.org", 587, "me@x.org", True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["%2Ftmp%2FSome-Folder", "%2ftmp%2FSome-Folder:5432"])
def test_database_on_a_socket(tmp_path, host):
    found = read_environment({**INSTALLATION, "DATABASE_URL": f"postgres://ana@{host}/alerts"}, tmp_path)
    assert found.database["HOST"] == "/tmp/Some-Folder"


def test_redis_on_a_socket_is_the_same_for_celery(tmp_path):
    found = read_environment({**INSTALLATION, "REDIS_URL": "unix:///run/redis.sock?db=3"}, tmp_path)
    assert found.broker_url == "redis+socket:///run/redis.sock?virtual_host=3"


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_either_server_makes_it_an_installation_that_needs_all(tmp_path, name):
    assert faults({name: INSTALLATION[name]}, tmp_path) == [other for other in INSTALLATION if other != name]


def test_empty_value_counts_as_none(tmp_path):
    assert faults({**INSTALLATION, "EMAIL_URL": " ", "PORT": ""}, tmp_path) == ["EMAIL_URL"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://ana:pw@db/alerts"),
        ("DATABASE_URL", "postgres://ana:pw@db:port/alerts"),
        ("DATABASE_URL", "postgres://ana:pw@db"),
        ("DATABASE_URL", "db:5432"),
        ("REDIS_URL", "amqp://rabbit"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://[::1"),
        ("SECRET_KEY", "short"),
        ("SECRET_KEY", KEY[:49]),
        ("SECRET_KEY", "django-insecure-8f3k2l1j4h5g6f7d8s9a0p1o2i3u"),
        ("SECRET_KEY", "a" * 50),
        ("ENCRYPTION_KEYS", ","),
        ("ENCRYPTION_KEYS", "too-short"),
        ("ENCRYPTION_KEYS", f"{FERNET_KEY},{FERNET_KEY[:-5]}"),
        ("SITE_URL", "alerts.example.org"),
        ("SITE_URL", "https://alerts.example.org/openalert"),
        ("ALLOWED_HOSTS", "https://alerts.example.org"),
        ("ALLOWED_HOSTS", ","),
        ("ALLOWED_HOSTS", "other.example.org"),
        ("EMAIL_URL", "smtp://"),
        ("EMAIL_URL", "sendmail://x"),
        ("EMAIL_TIMEOUT_SECONDS", "0"),
        ("PORT", "65536"),
        ("PORT", "http"),
        ("DEBUG", "maybe"),
        ("BEHIND_TLS_PROXY", "2"),
        ("HSTS_SECONDS", "-1"),
        ("AUDIT_RETENTION_DAYS", "29"),
        ("SIGN_IN_FAILURES", "2"),
        ("SIGN_IN_COOL_OFF_MINUTES", "0"),
        ("SECOND_FACTOR_REQUIRED", "some"),
        ("DATABASE_POOL_SIZE", "1"),
        ("WORKER_CONCURRENCY", "many"),
        ("PROVIDER_LIMIT_PER_MINUTE", "-1"),
        ("PROVIDER_LIMITS", "smtp"),
        ("PROVIDER_LIMITS", "smtp=many"),
        ("PROVIDER_LIMITS", "smtp=-1"),
        ("BUNDLE_ABOVE_PER_MINUTE", "often"),
        ("LOG_LEVEL", "loud"),
        ("TWILIO_MESSAGING_SERVICE_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_FROM_NUMBER", "015005550006"),
        ("TWILIO_API_URL", "api.twilio.com"),
        ("FEATURE_VOICE_CALLS", "perhaps"),
        ("PHONE_REGION", "Germany"),
        ("SENDGRID_EVENT_PUBLIC_KEY", "bm8ga2V5"),
        ("WEB_PUSH_PRIVATE_KEY", "short"),
        ("WEB_PUSH_PRIVATE_KEY", "A" * 43),  # zero is no key
        ("WEB_PUSH_CONTACT", "admin@example.org"),
        ("FCM_SERVICE_ACCOUNT_FILE", "/nowhere.json"),
        ("APPRISE_SCHEMES", "tgram://"),
        ("OUTGOING_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("PROVIDER_TIMEOUT_SECONDS", "60"),
    ],
)
def test_wrong_value_is_one_fault(tmp_path, name, value):
    assert faults({**INSTALLATION, name: value}, tmp_path) == [name]


def test_providers_have_limits(tmp_path):
    found = read_environment(INSTALLATION, tmp_path)
    assert (found.provider_limit_per_minute, found.provider_limits, found.bundle_above_per_minute) == (
        100,
        {},
        10,
    )
    found = read_environment({**INSTALLATION, "PROVIDER_LIMITS": " smtp = 600, twilio=0,"}, tmp_path)
    assert found.provider_limits == {"smtp": 600, "twilio": 0}


def test_no_provider_has_credentials_by_default(tmp_path):
    found = read_environment({}, tmp_path).providers
    accounts = (
        found.twilio_account_sid,
        found.sendgrid_api_key,
        found.web_push_private_key,
        found.slack_bot_token,
    )
    assert accounts == ("", "", "", "") and not found.voice_calls and found.outgoing_networks == []
    assert "tgram" in found.apprise_schemes
    assert read_environment({"APPRISE_SCHEMES": "none"}, tmp_path).providers.apprise_schemes == []


def test_half_an_account_is_a_fault(tmp_path):
    sid = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32}
    assert faults({**INSTALLATION, **sid}, tmp_path) == ["TWILIO_AUTH_TOKEN", "TWILIO_FROM_NUMBER"]
    whole = {**INSTALLATION, **sid, "TWILIO_AUTH_TOKEN": "x", "TWILIO_MESSAGING_SERVICE_SID": "MG" + "0" * 32}
    assert read_environment(whole, tmp_path).providers.twilio_account_sid == sid["TWILIO_ACCOUNT_SID"]
    assert faults({**INSTALLATION, "SLACK_BOT_TOKEN": "xoxb-1"}, tmp_path) == ["SLACK_SIGNING_SECRET"]


def test_a_service_account_is_a_file_of_googles(tmp_path):
    file = tmp_path / "firebase.json"
    variables = {"FCM_SERVICE_ACCOUNT_FILE": str(file)}
    for content in ("", "[]", '{"project_id": "p"}'):
        file.write_text(content)
        assert faults(variables, tmp_path) == ["FCM_SERVICE_ACCOUNT_FILE"]
    names = ("project_id", "client_email", "private_key", "token_uri")
    file.write_text(json.dumps(dict.fromkeys(names, "x")))
    assert read_environment(variables, tmp_path).providers.fcm_service_account_file == str(file)


def test_data_folder_that_is_a_file_is_a_fault(tmp_path):
    (tmp_path / "data").write_text("")
    assert faults({"OPENALERT_DATA_DIR": "data"}, tmp_path) == ["OPENALERT_DATA_DIR"]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgres://ana:pw@db:5432/alerts", "postgres://***@db:5432/alerts"),
        ("postgres://ana:p@w@db", "postgres://***@db"),
        ("postgres://ana:pw", "postgres://ana:***"),
        ("redis://redis:6379/0?password=pw", "redis://redis:6379/0"),
        ("ana:pw@db", "***@db"),
        ("8000", "8000"),
    ],
)
def test_passwords_are_not_shown(given, shown):
    assert masked(given) == shown


def test_start_is_stopped_by_one_message_that_names_every_fault(tmp_path):
    variables = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgres://ana:hunter2@db:x/alerts",
        "SECRET_KEY": "hunter2",
        "PORT": "0",
    }
    command = [sys.executable, "manage.py", "check"]
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (1, "")
    named = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ") and line[2] != " "]
    assert sorted(named) == sorted([*INSTALLATION, "PORT"])
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


def test_watching_is_off_unless_it_is_asked_for(tmp_path):
    watching = read_environment(INSTALLATION, tmp_path).watching
    assert (watching.metrics_token, watching.operators_email, watching.operators_webhook_url) == ("", [], "")
    assert (watching.heartbeat_url, watching.heartbeat_seconds) == ("", 60)
    asked = {
        "OPERATORS_EMAIL": "a@x.org, b@x.org",
        "METRICS_TOKEN": "t" * 16,
        "HEARTBEAT_URL": "https://w.org/p",
    }
    watching = read_environment({**INSTALLATION, **asked}, tmp_path).watching
    assert (watching.operators_email, watching.heartbeat_url) == (["a@x.org", "b@x.org"], "https://w.org/p")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_FORMAT", "xml"),
        ("METRICS_TOKEN", "too short"),
        ("OPERATORS_EMAIL", "ana"),
        ("OPERATORS_WEBHOOK_URL", "chat.example.org"),
        ("HEARTBEAT_URL", "ftp://x"),
        ("HEARTBEAT_SECONDS", "0"),
        ("TIMELINE_RETENTION_DAYS", "-1"),
        ("PAGE_RETENTION_DAYS", "x"),
    ],
)
def test_watching_that_cannot_be_is_named(tmp_path, name, value):
    assert faults({**INSTALLATION, name: value}, tmp_path) == [name]


def test_logs_are_for_machines_in_an_installation_and_for_people_at_home(tmp_path):
    assert read_environment(INSTALLATION, tmp_path).log_format == "json"
    assert read_environment({}, tmp_path).log_format == "line"
    assert read_environment({"LOG_FORMAT": "JSON"}, tmp_path).log_format == "json"


PROVIDER = {"OIDC_ISSUER": "https://id.example.org", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "s3cret"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({"OIDC_CLIENT_SECRET": ""}, "OIDC_CLIENT_SECRET"),
        ({"OIDC_ISSUER": "http://id.example.org"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "id.example.org"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "", "OIDC_LOCAL_SIGN_IN": "no"}, "OIDC_LOCAL_SIGN_IN"),
        ({"OIDC_SCOPES": "email"}, "OIDC_SCOPES"),
        ({"OIDC_REFRESH_MINUTES": "0"}, "OIDC_REFRESH_MINUTES"),
    ],
)
def test_sign_in_that_cannot_be_is_named(tmp_path, given, named):
    assert faults({**INSTALLATION, **PROVIDER, **given}, tmp_path) == [named]
    found = read_environment({**INSTALLATION, **PROVIDER, "OIDC_LOCAL_SIGN_IN": "no"}, tmp_path)
    assert (found.sign_in.issuer, found.sign_in.local) == ("https://id.example.org", False)
    assert "s3cret" in found.secrets


def test_passwords_of_the_environment_are_known_as_secrets(tmp_path):
    assert {KEY, "p@ss", "pw"} <= set(read_environment(INSTALLATION, tmp_path).secrets)


def test_every_variable_is_in_the_example():
    names = {line.partition("=")[0].lstrip("#") for line in (ROOT / ".env.example").read_text().splitlines()}
    source = (ROOT / "openalert" / "environment.py").read_text()
    read = set(re.findall(r'reader\.\w+\(\s*"([A-Z_]+)"', source))
    assert len(read) == 73
    assert read <= names


def test_mail_is_taken_beside_the_web_or_where_it_is_said(tmp_path):
    def found(**variables):
        mail = read_environment(variables, tmp_path).mail_intake
        return mail.domain, mail.host, mail.port, mail.certificate_key

    assert found() == ("localhost", "127.0.0.1", 8025, "")
    assert found(PORT="9000") == ("localhost", "127.0.0.1", 9025, "")
    assert found(**INSTALLATION) == ("alerts.example.org", "127.0.0.1", 8025, "")
    assert found(
        **INSTALLATION,
        INTAKE_MAIL_DOMAIN="In.Example.org",
        INTAKE_SMTP_HOST="0.0.0.0",
        INTAKE_SMTP_PORT="0",
        INTAKE_SMTP_CERTIFICATE="/tls/both.pem",
    ) == ("in.example.org", "0.0.0.0", 0, "/tls/both.pem")


def test_faults_of_the_mail_listener(tmp_path):
    variables = {
        "INTAKE_MAIL_DOMAIN": "a@b",
        "INTAKE_SMTP_PORT": "65536",
        "INTAKE_SMTP_CERTIFICATE_KEY": "/k",
    }
    assert faults(variables, tmp_path) == [
        "INTAKE_SMTP_CERTIFICATE",
        "INTAKE_MAIL_DOMAIN",
        "INTAKE_SMTP_PORT",
    ]


def test_addresses_are_known_without_a_proxy_or_with_one_that_is_named(tmp_path):
    def known(**variables):
        return read_environment({**INSTALLATION, **variables}, tmp_path).knows_addresses

    assert known()
    assert not known(BEHIND_TLS_PROXY="true")
    assert not known(BEHIND_TLS_PROXY="true", FORWARDED_ALLOW_IPS="127.0.0.1")
    assert known(BEHIND_TLS_PROXY="true", FORWARDED_ALLOW_IPS="10.0.0.0/8")
