"""What differs between installations, read from the environment and checked. .env.example says what each means.

Nothing is required for development: with neither DATABASE_URL nor REDIS_URL the embedded servers are used.
Either of them makes it an installation, which must name all that it depends on.
"""

import base64
import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import environ
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey, derive_private_key
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.http.request import validate_host

from openalert.embedded.places import Places

T = TypeVar("T")

SHORTEST_SECRET_KEY = 50  # Django's own measure (security.W009)
SAMPLE_WORDS = ("change", "secret", "example", "insecure", "sample", "your-")
TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
SECOND_FACTOR_OF = ("nobody", "administrators", "everybody")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

POSTGRES_SCHEMES = ("postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")
EMAIL_BACKENDS = {
    "smtp": "django.core.mail.backends.smtp.EmailBackend",
    "smtp+tls": "django.core.mail.backends.smtp.EmailBackend",
    "smtp+ssl": "django.core.mail.backends.smtp.EmailBackend",
    "consolemail": "django.core.mail.backends.console.EmailBackend",
    "mailbox": "notifications.mailbox.MailboxBackend",
}


@dataclass(frozen=True)
class Email:
    """Django's EMAIL_* settings."""

    backend: str
    host: str
    port: int
    user: str
    password: str
    use_tls: bool
    use_ssl: bool
    timeout: int


@dataclass(frozen=True)
class MailIntake:
    """Where mail for integrations is taken; port 0: nowhere. The certificate and its key are PEM files, or ""."""

    domain: str
    host: str
    port: int
    certificate: str
    certificate_key: str


@dataclass(frozen=True)
class Watching:
    """How the installation is watched; "" for what is not wanted."""

    metrics_token: str
    operators_email: list[str]
    operators_webhook_url: str
    heartbeat_url: str
    heartbeat_seconds: int


@dataclass(frozen=True)
class SignIn:
    """The OpenID provider by which people sign in; without an issuer there is none. `local`: passwords are taken too.

    After `failures` wrong passwords an account waits for `cool_off_minutes`. `second_factor`: of whom one is required.
    """

    issuer: str
    client_id: str
    client_secret: str
    name: str
    scopes: str
    groups_claim: str
    required_group: str
    local: bool
    refresh_minutes: int
    failures: int
    cool_off_minutes: int
    second_factor: str


@dataclass(frozen=True)
class Providers:
    """Accounts by which pages travel. What is "" is not set: the transports that need it are off."""

    twilio_account_sid: str
    twilio_auth_token: str
    twilio_from_number: str
    twilio_messaging_service_sid: str
    twilio_api_url: str
    voice_calls: bool
    phone_region: str
    sendgrid_api_key: str
    sendgrid_event_public_key: str
    sendgrid_api_url: str
    web_push_private_key: str
    web_push_contact: str
    fcm_service_account_file: str
    fcm_api_url: str
    slack_bot_token: str
    slack_signing_secret: str
    slack_api_url: str
    apprise_schemes: list[str]
    timeout: int
    outgoing_networks: list[str]


@dataclass(frozen=True)
class Environment:
    """Everything that settings.py takes from outside, whole and valid."""

    embedded: bool
    places: Places
    secret_key: str
    encryption_keys: list[str]
    debug: bool
    log_level: str
    log_format: str
    allowed_hosts: list[str]
    site_url: str
    port: int
    behind_tls_proxy: bool
    knows_addresses: bool
    hsts_seconds: int
    database: dict[str, Any]
    redis_url: str
    alert_retention_days: int
    timeline_retention_days: int
    page_retention_days: int
    audit_retention_days: int
    intake_alerts_per_minute: int
    drain_seconds: int
    api_requests_per_minute: int
    alert_image_hosts: list[str]
    worker_concurrency: int
    provider_limit_per_minute: int
    provider_limits: dict[str, int]
    bundle_above_per_minute: int
    email: Email
    from_address: str
    mail_intake: MailIntake
    watching: Watching
    sign_in: SignIn
    providers: Providers

    @property
    def secrets(self) -> list[str]:
        """What must never be shown, wherever it stands."""
        providers = self.providers
        given = [
            urlsplit(self.redis_url).password,
            self.database.get("PASSWORD"),
            self.email.password,
            self.watching.metrics_token,
            self.sign_in.client_secret,
            providers.twilio_auth_token,
            providers.sendgrid_api_key,
            providers.web_push_private_key,
            providers.slack_bot_token,
            providers.slack_signing_secret,
        ]
        return [self.secret_key, *self.encryption_keys, *filter(None, given)]

    @property
    def broker_url(self) -> str:
        """The same server as `redis_url`, spelt as Celery wants it."""
        if not self.redis_url.startswith("unix://"):
            return self.redis_url
        return self.redis_url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)

    @property
    def https(self) -> bool:
        return self.site_url.startswith("https://")


# Several of `make run` on one machine differ in PORT, and so do their ports for mail: 8025 beside 8000.
MAIL_PORT_OFFSET = 25

# A statement is prepared once it has been used so often.
PREPARE_THRESHOLD = 3


@dataclass(frozen=True)
class Fault:
    """One variable that is wrong or missing."""

    name: str
    given: str
    wanted: str


class FaultyEnvironment(Exception):
    """Every fault of the environment, in the order in which they were found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        lines = ["OpenAlert cannot start: the environment is wrong."]
        for fault in faults:
            lines += [f"  {fault.name}", f"    given:  {fault.given}", f"    wanted: {fault.wanted}"]
        lines += [
            "Each variable is described in .env.example; they may stand in a file .env beside it.",
            "Without DATABASE_URL and REDIS_URL, OpenAlert starts servers of its own and needs no variable.",
        ]
        super().__init__("\n".join(lines))


def load_environment(base_dir: Path) -> Environment:
    """Read `os.environ` and, for what it does not name, `base_dir`/.env.

    With a fault, says all of them on stderr and ends the process with status 1.
    """
    # A line that it cannot read is named in a warning of its own; its debug lines would show the values.
    logging.getLogger("environ.environ").setLevel(logging.WARNING)
    environ.Env.read_env(base_dir / ".env")
    try:
        return read_environment(os.environ, base_dir)
    except FaultyEnvironment as error:
        sys.exit(str(error))


def read_environment(variables: Mapping[str, str], base_dir: Path) -> Environment:
    """Check `variables` and give them their types. An empty value counts as none.

    In embedded mode this makes the data folder and, once, the secret key in it.
    Raises FaultyEnvironment with every fault.
    """
    reader = Reader(variables)
    embedded = not reader.given("DATABASE_URL") and not reader.given("REDIS_URL")
    places = Places((base_dir / (reader.given("OPENALERT_DATA_DIR") or ".openalert")).resolve())
    port = reader.integer("PORT", 8000, lowest=1, highest=65535)
    values = _development(reader, places, port) if embedded else _installation(reader)
    hosts, site_url = values["allowed_hosts"], values["site_url"]
    if hosts and site_url and not validate_host(host_of(site_url), hosts):
        reader.fault(
            "ALLOWED_HOSTS", ",".join(hosts), f"a list that allows SITE_URL's host, {host_of(site_url)}"
        )
    values["mail_intake"] = _mail_intake(reader, port, "localhost" if embedded else host_of(site_url or ""))
    values["watching"] = _watching(reader)
    values["sign_in"] = _sign_in(reader)
    values["providers"] = _providers(reader)
    pool_size = reader.integer("DATABASE_POOL_SIZE", 20, lowest=2, highest=500)
    prepares = reader.boolean("DATABASE_PREPARED_STATEMENTS", embedded)
    behind_proxy = reader.boolean("BEHIND_TLS_PROXY", False)
    email_timeout = reader.integer("EMAIL_TIMEOUT_SECONDS", 10, lowest=1, highest=600)
    values |= {
        "embedded": embedded,
        "places": places,
        "port": port,
        "debug": reader.boolean("DEBUG", embedded),
        "log_level": reader.read("LOG_LEVEL", check_log_level, "one of " + ", ".join(LOG_LEVELS)) or "INFO",
        "log_format": reader.read("LOG_FORMAT", check_log_format, "json or line")
        or ("line" if embedded else "json"),
        "behind_tls_proxy": behind_proxy,
        # uvicorn reads it: whose word on the client's address is taken. Its default is this machine.
        "knows_addresses": reader.given("FORWARDED_ALLOW_IPS") not in ("", "127.0.0.1") or not behind_proxy,
        "hsts_seconds": reader.integer("HSTS_SECONDS", 30 * 24 * 3600, lowest=0),
        "alert_retention_days": reader.integer("ALERT_RETENTION_DAYS", 0, lowest=0),
        "timeline_retention_days": reader.integer("TIMELINE_RETENTION_DAYS", 0, lowest=0),
        "page_retention_days": reader.integer("PAGE_RETENTION_DAYS", 0, lowest=0),
        "alert_image_hosts": reader.read("ALERT_IMAGE_HOSTS", check_image_hosts, IMAGE_HOSTS_WANTED) or [],
        "audit_retention_days": reader.read("AUDIT_RETENTION_DAYS", check_audit_days, AUDIT_DAYS_WANTED) or 0,
        "intake_alerts_per_minute": reader.integer("INTAKE_ALERTS_PER_MINUTE", 0, lowest=0),
        "drain_seconds": reader.integer("DRAIN_SECONDS", 0, lowest=0, highest=300),
        "api_requests_per_minute": reader.integer("API_REQUESTS_PER_MINUTE", 1200, lowest=1),
        "worker_concurrency": reader.integer("WORKER_CONCURRENCY", 8, lowest=1, highest=256),
        "provider_limit_per_minute": reader.integer("PROVIDER_LIMIT_PER_MINUTE", 100, lowest=0),
        "provider_limits": reader.read("PROVIDER_LIMITS", check_limits, LIMITS_WANTED) or {},
        "bundle_above_per_minute": reader.integer("BUNDLE_ABOVE_PER_MINUTE", 10, lowest=0),
        "from_address": reader.given("DEFAULT_FROM_EMAIL") or "OpenAlert <openalert@localhost>",
    }
    if reader.faults:
        raise FaultyEnvironment(reader.faults)
    values["database"] = with_pool(values["database"], pool_size, prepares=prepares)
    values["email"] = Email(**values["email"], timeout=email_timeout)
    return Environment(**values)


def _development(reader: "Reader", places: Places, port: int) -> dict[str, Any]:
    secret_key = reader.read("SECRET_KEY", check_secret_key, SECRET_KEY_WANTED, secret=True)
    return {
        "database": {"ENGINE": "django.db.backends.postgresql", **places.database},
        "redis_url": places.redis_url,
        "secret_key": secret_key
        or reader.make("OPENALERT_DATA_DIR", places.data, FOLDER_WANTED, keep_secret_key),
        "encryption_keys": reader.read(
            "ENCRYPTION_KEYS", check_encryption_keys, ENCRYPTION_WANTED, secret=True
        )
        or reader.make("OPENALERT_DATA_DIR", places.data, FOLDER_WANTED, keep_encryption_key),
        "site_url": reader.read("SITE_URL", check_site_url, SITE_URL_WANTED) or f"http://127.0.0.1:{port}",
        "allowed_hosts": reader.read("ALLOWED_HOSTS", check_hosts, HOSTS_WANTED)
        or ["localhost", "127.0.0.1", "[::1]"],
        "email": reader.read("EMAIL_URL", check_email_url, EMAIL_WANTED) or check_email_url("mailbox://"),
    }


def _installation(reader: "Reader") -> dict[str, Any]:
    return {
        "database": reader.require("DATABASE_URL", check_database_url, DATABASE_WANTED),
        "redis_url": reader.require("REDIS_URL", check_redis_url, REDIS_WANTED),
        "secret_key": reader.require("SECRET_KEY", check_secret_key, SECRET_KEY_WANTED, secret=True),
        "encryption_keys": reader.require(
            "ENCRYPTION_KEYS", check_encryption_keys, ENCRYPTION_WANTED, secret=True
        ),
        "site_url": reader.require("SITE_URL", check_site_url, SITE_URL_WANTED),
        "allowed_hosts": reader.require("ALLOWED_HOSTS", check_hosts, HOSTS_WANTED),
        "email": reader.require("EMAIL_URL", check_email_url, EMAIL_WANTED),
    }


def _mail_intake(reader: "Reader", port: int, domain: str) -> MailIntake:
    certificate, key = reader.given("INTAKE_SMTP_CERTIFICATE"), reader.given("INTAKE_SMTP_CERTIFICATE_KEY")
    if key and not certificate:
        reader.fault("INTAKE_SMTP_CERTIFICATE", "", "a PEM file: INTAKE_SMTP_CERTIFICATE_KEY is its key")
    beside = port + MAIL_PORT_OFFSET
    return MailIntake(
        domain=reader.read("INTAKE_MAIL_DOMAIN", check_domain, DOMAIN_WANTED) or domain,
        host=reader.given("INTAKE_SMTP_HOST") or "127.0.0.1",
        port=reader.integer("INTAKE_SMTP_PORT", beside if beside <= 65535 else 0, lowest=0, highest=65535),
        certificate=certificate,
        certificate_key=key or certificate,
    )


def _watching(reader: "Reader") -> Watching:
    return Watching(
        metrics_token=reader.read("METRICS_TOKEN", check_token, METRICS_WANTED, secret=True) or "",
        operators_email=reader.read("OPERATORS_EMAIL", check_addresses, ADDRESSES_WANTED) or [],
        operators_webhook_url=reader.read("OPERATORS_WEBHOOK_URL", check_url, URL_WANTED) or "",
        heartbeat_url=reader.read("HEARTBEAT_URL", check_url, URL_WANTED) or "",
        heartbeat_seconds=reader.integer("HEARTBEAT_SECONDS", 60, lowest=1, highest=3600),
    )


def _sign_in(reader: "Reader") -> SignIn:
    issuer = reader.read("OIDC_ISSUER", check_issuer, ISSUER_WANTED) or ""
    local = reader.boolean("OIDC_LOCAL_SIGN_IN", True)
    client_id, client_secret = reader.given("OIDC_CLIENT_ID"), reader.given("OIDC_CLIENT_SECRET")
    if issuer and not client_id:
        reader.fault("OIDC_CLIENT_ID", "", "the id of OpenAlert at the provider OIDC_ISSUER")
    if issuer and not client_secret:
        reader.fault("OIDC_CLIENT_SECRET", "", "the secret of OpenAlert at the provider OIDC_ISSUER")
    if not local and not reader.given("OIDC_ISSUER"):
        reader.fault("OIDC_LOCAL_SIGN_IN", "no", "yes, or OIDC_ISSUER: somebody must be able to sign in")
    return SignIn(
        issuer=issuer,
        client_id=client_id,
        client_secret=client_secret,
        name=reader.given("OIDC_NAME") or "single sign-on",
        scopes=reader.read("OIDC_SCOPES", check_scopes, SCOPES_WANTED) or "openid email profile",
        groups_claim=reader.given("OIDC_GROUPS_CLAIM") or "groups",
        required_group=reader.given("OIDC_REQUIRED_GROUP"),
        local=local,
        refresh_minutes=reader.integer("OIDC_REFRESH_MINUTES", 60, lowest=2, highest=1440),
        failures=reader.integer("SIGN_IN_FAILURES", 5, lowest=3, highest=100),
        cool_off_minutes=reader.integer("SIGN_IN_COOL_OFF_MINUTES", 15, lowest=1, highest=1440),
        second_factor=reader.read("SECOND_FACTOR_REQUIRED", check_second_factor, SECOND_FACTOR_WANTED)
        or "nobody",
    )


def _providers(reader: "Reader") -> Providers:
    account = reader.read("TWILIO_ACCOUNT_SID", check_account_sid, ACCOUNT_SID_WANTED) or ""
    token = reader.given("TWILIO_AUTH_TOKEN")
    number = reader.read("TWILIO_FROM_NUMBER", check_phone_number, PHONE_NUMBER_WANTED) or ""
    service = reader.read("TWILIO_MESSAGING_SERVICE_SID", check_service_sid, SERVICE_SID_WANTED) or ""
    if account and not token:
        reader.fault("TWILIO_AUTH_TOKEN", "", "the auth token of the account TWILIO_ACCOUNT_SID")
    if account and not number and not service:
        reader.fault("TWILIO_FROM_NUMBER", "", f"{PHONE_NUMBER_WANTED}; or TWILIO_MESSAGING_SERVICE_SID")
    voice_calls = reader.boolean("FEATURE_VOICE_CALLS", False)
    slack_token = reader.given("SLACK_BOT_TOKEN")
    schemes = reader.read("APPRISE_SCHEMES", check_schemes, SCHEMES_WANTED)
    if slack_token and not reader.given("SLACK_SIGNING_SECRET"):
        reader.fault("SLACK_SIGNING_SECRET", "", "the signing secret of the app: it checks what buttons send")
    return Providers(
        twilio_account_sid=account,
        twilio_auth_token=token,
        twilio_from_number=number,
        twilio_messaging_service_sid=service,
        twilio_api_url=reader.read("TWILIO_API_URL", check_site_url, API_URL_WANTED) or "",
        voice_calls=voice_calls,
        phone_region=reader.read("PHONE_REGION", check_region, REGION_WANTED) or "",
        sendgrid_api_key=reader.given("SENDGRID_API_KEY"),
        sendgrid_event_public_key=reader.read(
            "SENDGRID_EVENT_PUBLIC_KEY", check_public_key, PUBLIC_KEY_WANTED, secret=True
        )
        or "",
        sendgrid_api_url=reader.read("SENDGRID_API_URL", check_site_url, API_URL_WANTED)
        or "https://api.sendgrid.com",
        web_push_private_key=reader.read(
            "WEB_PUSH_PRIVATE_KEY", check_vapid_key, VAPID_KEY_WANTED, secret=True
        )
        or "",
        web_push_contact=reader.read("WEB_PUSH_CONTACT", check_contact, CONTACT_WANTED) or "",
        fcm_service_account_file=reader.read("FCM_SERVICE_ACCOUNT_FILE", check_service_account, FCM_WANTED)
        or "",
        fcm_api_url=reader.read("FCM_API_URL", check_site_url, API_URL_WANTED)
        or "https://fcm.googleapis.com",
        slack_bot_token=slack_token,
        slack_signing_secret=reader.given("SLACK_SIGNING_SECRET"),
        slack_api_url=reader.read("SLACK_API_URL", check_site_url, API_URL_WANTED) or "https://slack.com",
        apprise_schemes=list(APPRISE_SCHEMES) if schemes is None else schemes,
        timeout=reader.integer("PROVIDER_TIMEOUT_SECONDS", 10, lowest=1, highest=25),
        outgoing_networks=reader.read("OUTGOING_ALLOWED_NETWORKS", check_networks, NETWORKS_WANTED) or [],
    )


class Reader:
    """Takes variables one at a time and remembers what was wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.faults: list[Fault] = []

    def given(self, name: str) -> str:
        return self.variables.get(name, "").strip()

    def fault(self, name: str, given: str, wanted: str) -> None:
        self.faults.append(Fault(name, given or "nothing", wanted))

    def read(self, name: str, check: Callable[[str], T], wanted: str, *, secret: bool = False) -> T | None:
        """What `check` makes of the value; None without a value. `check` raises ValueError for a wrong one."""
        given = self.given(name)
        if not given:
            return None
        try:
            return check(given)
        except ValueError:
            self.fault(name, f"({len(given)} characters, not shown)" if secret else masked(given), wanted)
            return None

    def require(self, name: str, check: Callable[[str], T], wanted: str, *, secret: bool = False) -> T | None:
        if not self.given(name):
            self.fault(name, "", wanted)
        return self.read(name, check, wanted, secret=secret)

    def integer(self, name: str, default: int, *, lowest: int, highest: int | None = None) -> int:
        def check(given: str) -> int:
            number = int(given)
            if number < lowest or (highest is not None and number > highest):
                raise ValueError
            return number

        wanted = f"a whole number, {lowest} " + ("or more" if highest is None else f"to {highest}")
        number = self.read(name, check, wanted)
        return default if number is None else number

    def boolean(self, name: str, default: bool) -> bool:
        def check(given: str) -> bool:
            if given.lower() not in TRUE + FALSE:
                raise ValueError
            return given.lower() in TRUE

        value = self.read(name, check, "true or false")
        return default if value is None else value

    def make(self, name: str, folder: Path, wanted: str, make: Callable[[Path], T]) -> T | None:
        try:
            return make(folder)
        except OSError as error:
            if all(fault.name != name for fault in self.faults):  # once for all that is kept there
                self.fault(name, f"{folder} ({(error.strerror or str(error)).lower()})", wanted)
            return None


SECRET_KEY_WANTED = (
    f"at least {SHORTEST_SECRET_KEY} random characters, no sample: "
    "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
)
ENCRYPTION_WANTED = (
    "keys for the secrets in the database, separated by commas, the first one for what is written; a key: "
    "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"
)
# The database refuses to remove what is younger (the trigger in openalert's migrations).
SHORTEST_AUDIT_DAYS = 30
AUDIT_DAYS_WANTED = f"a whole number of days, {SHORTEST_AUDIT_DAYS} or more; 0 keeps everything"
FOLDER_WANTED = "a folder that this user can write to"
DATABASE_WANTED = "postgres://user:password@host:5432/name"
REDIS_WANTED = "redis://:password@host:6379/0, rediss://… or unix:///path"
SITE_URL_WANTED = "the address that people use, like https://alerts.example.org, without a path"
HOSTS_WANTED = "the host names that are served, separated by commas, like alerts.example.org"
IMAGE_HOSTS_WANTED = "host names from which pictures are shown, separated by commas, like grafana.example.org"
DOMAIN_WANTED = "the domain behind the @ of integrations' addresses, like alerts.example.org"
LIMITS_WANTED = "messages a minute by provider account, like smtp=600,twilio=60; 0 for no limit"
METRICS_WANTED = "at least 16 characters without spaces"
ADDRESSES_WANTED = "email addresses, separated by commas"
ISSUER_WANTED = (
    "the address that the provider calls itself by, exactly, like https://login.example.org/realms/main"
)
SCOPES_WANTED = "scopes with spaces in between, openid among them, like openid email profile"
SECOND_FACTOR_WANTED = "of whom a second factor is required: " + ", ".join(SECOND_FACTOR_OF)
URL_WANTED = "an address like https://watch.example.org/ping"
ACCOUNT_SID_WANTED = "an account SID of Twilio: AC and 32 hexadecimal digits"
SERVICE_SID_WANTED = "the SID of a messaging service of Twilio: MG and 32 hexadecimal digits"
PHONE_NUMBER_WANTED = "the number that messages and calls come from, like +15005550006"
API_URL_WANTED = "the address of the provider's API, like https://api.example.org, without a path"
REGION_WANTED = "a country in two letters, like DE: whose numbers need no country code"
PUBLIC_KEY_WANTED = "the verification key of SendGrid's signed event webhook"
VAPID_KEY_WANTED = "the 32 bytes of a P-256 private key in URL-safe base64"
CONTACT_WANTED = "whom push services may ask: mailto:admin@example.org or an https address"
FCM_WANTED = "a service account's JSON file with project_id, client_email, private_key and token_uri"
SCHEMES_WANTED = "services of Apprise by their URL schemes, separated by commas, like tgram,discord; or none"
NETWORKS_WANTED = "networks that may be reached though they are not public, like 10.1.2.0/24,fd00::/8"
# Services with hosts of their own. With a scheme of self-hosted ones, people choose the host.
APPRISE_SCHEMES = ("discord", "ntfy", "ntfys", "pbul", "pover", "tgram", "threema", "twist", "webex")
EMAIL_WANTED = "smtp+tls://user:password@host:587, smtp://host:25, smtp+ssl://…, consolemail:// or mailbox://"


def check_secret_key(given: str) -> str:
    is_sample = len(set(given)) < 8 or any(word in given.lower() for word in SAMPLE_WORDS)
    if len(given) < SHORTEST_SECRET_KEY or is_sample:
        raise ValueError
    return given


def check_encryption_keys(given: str) -> list[str]:
    """Fernet's keys: 32 bytes in URL-safe base64."""
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not keys or any(len(base64.urlsafe_b64decode(key)) != 32 for key in keys):
        raise ValueError
    return keys


def check_audit_days(given: str) -> int:
    days = int(given)
    if days and days < SHORTEST_AUDIT_DAYS:
        raise ValueError
    return days


def check_database_url(given: str) -> dict[str, Any]:
    url = split(given)
    if url.scheme not in POSTGRES_SCHEMES:
        raise ValueError
    database = environ.Env.db_url_config(given)
    host = url.netloc.rpartition("@")[2]
    if (
        host[:3].upper() == "%2F"
    ):  # libpq's spelling of a socket's folder, which django-environ leaves as it is
        database["HOST"] = unquote(host.partition(":")[0])
    if not database["NAME"] or "/" in database["NAME"]:
        raise ValueError
    return database


def check_redis_url(given: str) -> str:
    url = split(given)
    if url.scheme not in REDIS_SCHEMES or not (url.path if url.scheme == "unix" else url.hostname):
        raise ValueError
    return given


def check_site_url(given: str) -> str:
    url = split(given)
    if (
        url.scheme not in ("http", "https")
        or not url.hostname
        or url.path.strip("/")
        or url.query
        or url.username
    ):
        raise ValueError
    return f"{url.scheme}://{url.netloc.lower()}"


def check_hosts(given: str) -> list[str]:
    hosts: list[str] = environ.Env.parse_value(given, list)
    hosts = [host.strip() for host in hosts if host.strip()]
    if not hosts or any("/" in host or " " in host for host in hosts):
        raise ValueError
    return hosts


def check_image_hosts(given: str) -> list[str]:
    return [host.lower() for host in check_hosts(given)]


def check_domain(given: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", given):
        raise ValueError
    return given.lower()


def check_account_sid(given: str) -> str:
    return _sid(given, "AC")


def check_service_sid(given: str) -> str:
    return _sid(given, "MG")


def _sid(given: str, kind: str) -> str:
    if not re.fullmatch(kind + "[0-9a-fA-F]{32}", given):
        raise ValueError
    return given


def check_phone_number(given: str) -> str:
    if not re.fullmatch(r"\+[1-9]\d{6,14}", given):
        raise ValueError
    return given


def check_region(given: str) -> str:
    if not re.fullmatch("[A-Za-z]{2}", given):
        raise ValueError
    return given.upper()


def check_public_key(given: str) -> str:
    """Base64 of a public key on P-256, with or without the lines that PEM puts around it."""
    inside = re.sub(r"-----[A-Z ]+-----|\s", "", given)
    try:
        key = load_der_public_key(base64.b64decode(inside))
    except UnsupportedAlgorithm as error:
        raise ValueError from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError
    return inside


def check_vapid_key(given: str) -> str:
    raw = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4))
    if len(raw) != 32:
        raise ValueError
    derive_private_key(int.from_bytes(raw), SECP256R1())
    return given


def check_contact(given: str) -> str:
    if not given.startswith(("mailto:", "https://")):
        raise ValueError
    return given


def check_service_account(given: str) -> str:
    try:
        account = json.loads(Path(given).read_text())
    except OSError as error:
        raise ValueError from error
    wanted = ("project_id", "client_email", "private_key", "token_uri")
    if not isinstance(account, dict) or not all(isinstance(account.get(name), str) for name in wanted):
        raise ValueError
    return given


def check_schemes(given: str) -> list[str]:
    schemes = [scheme.strip().lower() for scheme in given.split(",") if scheme.strip()]
    if schemes == ["none"]:
        return []
    if not all(re.fullmatch("[a-z0-9]+", scheme) for scheme in schemes):
        raise ValueError
    return schemes


def check_networks(given: str) -> list[str]:
    return [str(ip_network(network.strip())) for network in given.split(",") if network.strip()]


def check_email_url(given: str) -> dict[str, Any]:
    url = split(given)
    if url.scheme not in EMAIL_BACKENDS or (url.scheme.startswith("smtp") and not url.hostname):
        raise ValueError
    backend = EMAIL_BACKENDS[url.scheme]
    config = environ.Env.email_url_config(given, backend=backend)
    return {
        "backend": backend,
        "host": config["EMAIL_HOST"] or "localhost",
        "port": config["EMAIL_PORT"] or {"smtp+tls": 587, "smtp+ssl": 465}.get(url.scheme, 25),
        "user": config["EMAIL_HOST_USER"] or "",
        "password": config["EMAIL_HOST_PASSWORD"] or "",
        "use_tls": url.scheme == "smtp+tls",
        "use_ssl": url.scheme == "smtp+ssl",
    }


def check_limits(given: str) -> dict[str, int]:
    limits = {}
    for pair in filter(None, (part.strip() for part in given.split(","))):
        name, separator, number = (piece.strip() for piece in pair.partition("="))
        if not name or not separator or int(number) < 0:
            raise ValueError
        limits[name] = int(number)
    return limits


def check_token(given: str) -> str:
    if not re.fullmatch(r"\S{16,}", given):
        raise ValueError
    return given


def check_addresses(given: str) -> list[str]:
    addresses = [address.strip() for address in given.split(",") if address.strip()]
    if not addresses or not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in addresses):
        raise ValueError
    return addresses


def check_url(given: str) -> str:
    url = split(given)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError
    return given


def check_issuer(given: str) -> str:
    """Kept as it is written. Without TLS only on this machine: whoever is in between could be anybody."""
    url = split(given)
    if not url.hostname or url.query or url.fragment or url.username:
        raise ValueError
    if url.scheme != "https" and (url.scheme, url.hostname) not in (
        ("http", "127.0.0.1"),
        ("http", "localhost"),
    ):
        raise ValueError
    return given


def check_scopes(given: str) -> str:
    scopes = given.split()
    if "openid" not in scopes:
        raise ValueError
    return " ".join(scopes)


def check_second_factor(given: str) -> str:
    if given.lower() not in SECOND_FACTOR_OF:
        raise ValueError
    return given.lower()


def check_log_format(given: str) -> str:
    if given.lower() not in ("json", "line"):
        raise ValueError
    return given.lower()


def check_log_level(given: str) -> str:
    if given.upper() not in LOG_LEVELS:
        raise ValueError
    return given.upper()


def split(given: str) -> SplitResult:
    """The parts of a URL. Raises ValueError for what is none, a port that is no number included."""
    url = urlsplit(given)
    _ = url.port
    return url


def host_of(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def masked(given: str) -> str:
    """A value fit to be shown: what may be a password, in a URL or what was meant as one, is hidden."""
    scheme, separator, rest = given.rpartition("://")
    _, at, place = rest.rpartition("@")
    place = re.sub(r":(?!\d*(?:[/,?]|$))[^/,?]+", ":***", place.partition("?")[0])
    return scheme + separator + ("***@" if at else "") + place


def with_pool(database: dict[str, Any], size: int, *, prepares: bool) -> dict[str, Any]:
    """Django's settings for a pool of up to `size` connections in each process, fit for PgBouncer's transaction
    mode: no server-side cursors. Prepared statements are intake's (openalert.sql); Django itself makes none."""
    options = {"connect_timeout": 5, **database.get("OPTIONS", {})}
    options["prepare_threshold"] = PREPARE_THRESHOLD if prepares else None
    # What was lost is tried again after 1, 2, 4 … seconds, and anew by whoever needs it once that was given up: so
    # nobody waits for long when the database is back, however long it was away.
    options["pool"] = {"min_size": 1, "max_size": size, "timeout": 10, "reconnect_timeout": 10}
    return {**database, "OPTIONS": options, "CONN_HEALTH_CHECKS": True, "DISABLE_SERVER_SIDE_CURSORS": True}


def keep_secret_key(data: Path) -> str:
    """The secret key of the data folder, made when it is first asked for. Raises OSError."""
    return keep(data / "secret_key", lambda: secrets.token_urlsafe(48))


def keep_encryption_key(data: Path) -> list[str]:
    """The encryption key of the data folder, made when it is first asked for. Raises OSError."""
    key = keep(data / "encryption_key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    return check_encryption_keys(key)


def keep(path: Path, make: Callable[[], str]) -> str:
    """What the file says; made when it is first asked for, for nobody but its owner to read.

    Two processes may ask at once: the first link wins, and both read the same. Raises OSError.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
