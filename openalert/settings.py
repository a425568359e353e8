"""All settings, in one place. What differs between installations comes from the environment
(openalert/environment.py reads and checks it; .env.example documents it)."""

from datetime import timedelta
from pathlib import Path

from csp.constants import NONCE, NONE, SELF

from openalert import admin_look
from openalert.environment import load_environment
from openalert.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

environment = load_environment(BASE_DIR)

EMBEDDED = environment.embedded
SECRET_KEY = environment.secret_key
ENCRYPTION_KEYS = environment.encryption_keys  # openalert/encryption.py
DEBUG = environment.debug
ALLOWED_HOSTS = environment.allowed_hosts
SITE_URL = environment.site_url
CSRF_TRUSTED_ORIGINS = [environment.site_url]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = environment.https
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = (
    "Lax"  # Strict would greet who follows a mail's link with the sign-in
)
SECURE_HSTS_SECONDS = environment.hsts_seconds if environment.https else 0
if environment.behind_tls_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = environment.https
# Behind a proxy that is not believed (FORWARDED_ALLOW_IPS), all requests seem to come from one address.
KNOWS_ADDRESSES = environment.knows_addresses
# Who asks for these comes past the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
# Some addresses are keys (/answer/, /subscriptions/, /calendar/): no other site is told one.
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# What hangs on the request is added by openalert/content_policy.py; docs/security.md says it in words.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, *(f"https://{host}" for host in environment.alert_image_hosts)],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains: what else stands below the domain is not ours to decide
    "security.W021",  # HSTS preload: a list of browsers' makers that is hard to leave, for the domain's owner to enter
]

INSTALLED_APPS = [
    "daphne",  # before staticfiles: it takes over runserver
    "unfold.apps.BasicAppConfig",  # before Django's admin: its templates and widgets go first
    "openalert.admin_config.RoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "django_htmx",
    "csp",
    "channels",
    "django_celery_beat",
    "axes",
    "openalert",
    "teams",
    "incidents",
    "alerts",
    "notifications",
    "escalations",
]

MIDDLEWARE = [
    "openalert.correlation_id.CorrelationIdMiddleware",
    "openalert.request_log.RequestLogMiddleware",
    "openalert.content_policy.ContentPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "openalert.guessing.GuessingMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "openalert.audit.middleware.AuditMiddleware",
    "teams.identity.middleware.ConfirmSessionMiddleware",
    "teams.middleware.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "incidents.live.middleware.LiveCursorMiddleware",
    "axes.middleware.AxesMiddleware",  # last: what it answers a lock-out with goes through all the others
]

ROOT_URLCONF = "openalert.urls"
ASGI_APPLICATION = "openalert.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "builtins": ["openalert.templatetags.piece_tags"],
        },
    },
]

UNFOLD = admin_look.UNFOLD

DATABASES = {"default": environment.database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "teams.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {"user_attributes": ("email", "name")},
        "MinimumLengthValidator": {"min_length": 12},
        "CommonPasswordValidator": {},
        "NumericPasswordValidator": {},
    }.items()
]
PASSWORD_RESET_TIMEOUT = 3600  # seconds that a link to a new password opens it
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
# Without OIDC_ISSUER only passwords are taken; with OIDC_LOCAL_SIGN_IN=no no door takes any, the API's neither.
AUTHENTICATION_BACKENDS = [
    "teams.identity.lock_out.LockOutBackend",  # first: who is locked out is asked for no password
    *(["django.contrib.auth.backends.ModelBackend"] if environment.sign_in.local else []),
    *(["teams.identity.backend.OpenIDConnectBackend"] if environment.sign_in.issuer else []),
]
OIDC_ISSUER = environment.sign_in.issuer
OIDC_NAME = environment.sign_in.name
OIDC_GROUPS_CLAIM = environment.sign_in.groups_claim
OIDC_REQUIRED_GROUP = environment.sign_in.required_group
OIDC_LOCAL_SIGN_IN = environment.sign_in.local
OIDC_REFRESH_MINUTES = environment.sign_in.refresh_minutes
# What follows is mozilla-django-oidc's; the endpoints come from discovery (teams/identity/provider.py).
OIDC_RP_CLIENT_ID = environment.sign_in.client_id
OIDC_RP_CLIENT_SECRET = environment.sign_in.client_secret
OIDC_RP_SCOPES = environment.sign_in.scopes
OIDC_AUTHENTICATION_CALLBACK_URL = "oidc-callback"
OIDC_USE_PKCE = True
OIDC_TIMEOUT = 10
# Lock-out of an account after wrong passwords: django-axes, as teams/identity/lock_out.py wants it.
AXES_HANDLER = "teams.identity.lock_out.LockOutHandler"
AXES_FAILURE_LIMIT = environment.sign_in.failures
AXES_COOLOFF_TIME = timedelta(minutes=environment.sign_in.cool_off_minutes)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "username"]
AXES_USERNAME_CALLABLE = "teams.identity.lock_out.account_of"
AXES_CLIENT_IP_CALLABLE = "teams.identity.lock_out.place_of"
AXES_LOCKOUT_CALLABLE = "teams.identity.lock_out.response"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever goes on trying locks an account for ever
AXES_DISABLE_ACCESS_LOG = True  # the audit log has it
AXES_ENABLE_ADMIN = False  # the page of a person has what is needed
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "email", "ip_address", "csrfmiddlewaretoken", "code", "otp"]
SECOND_FACTOR_REQUIRED = environment.sign_in.second_factor
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = DEBUG
if not DEBUG:  # names with a digest, made by collectstatic
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

REDIS_URL = environment.redis_url
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "openalert",
        "OPTIONS": {"socket_timeout": 2},
    }
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "openalert.channel_layer.RedisLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "openalert"},
    }
}

CELERY_BROKER_URL = environment.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_DEFAULT_QUEUE = "openalert"
# A provider that hangs must not keep the tick from its second, so sending has workers of its own. What teams do waits for
# mail and calendar servers too, or looks at all schedules.
# Addresses that people gave us may all hang: they are not in the way of pages either.
CELERY_TASK_ROUTES = {
    "notifications.tasks.deliver": {"queue": "delivery"},
    "notifications.tasks.deliver_subscriber_mail": {"queue": "webhooks"},
    "notifications.tasks.deliver_webhook": {"queue": "webhooks"},
    "notifications.tasks.tell_slack": {"queue": "webhooks"},
    "teams.tasks.*": {"queue": "delivery"},
    "incidents.tasks.send_report": {"queue": "delivery"},
    "incidents.tasks.tend_reports": {"queue": "delivery"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = environment.worker_concurrency
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: the standby works meanwhile
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # A broker that hangs must not hold up whoever tells it something.
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    # A wake-up that a dead worker had taken is not delivered again an hour later: its row was found long before.
    "ack_emulation": False,
}
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULER = "openalert.scheduler:ElectedScheduler"
# A wake-up that found no worker within its second is worth nothing: the next one looks at the same rows.
CELERY_BEAT_SCHEDULE = {
    "beat is there": {
        "task": "openalert.tasks.note_beat",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "health of the queues": {
        "task": "openalert.tasks.check_queues",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "escalation tick": {
        "task": "escalations.tasks.tick",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "acknowledgements that run out": {
        "task": "escalations.tasks.resume",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "snoozes that end": {
        "task": "incidents.tasks.wake_snoozed",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "who is on call now": {
        "task": "incidents.tasks.tell_on_call",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "what open pages were told": {
        "task": "incidents.tasks.forget_what_was_told",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 60},
    },
    "heartbeats that are late": {
        "task": "alerts.tasks.expire_heartbeats",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "what rules held back": {
        "task": "alerts.tasks.release_held",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
    "flapping that ends": {
        "task": "alerts.tasks.settle_flapping",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "maintenance that begins or ends": {
        "task": "alerts.tasks.announce_maintenance",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 5},
    },
    "maintenance that comes again": {
        "task": "alerts.tasks.plan_maintenance",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "old alerts": {
        "task": "alerts.tasks.remove_old_alerts",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "noise of months that are over": {
        "task": "alerts.tasks.count_noise",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "pages of months that are over": {
        "task": "notifications.tasks.count_pages",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "old timelines": {
        "task": "incidents.tasks.remove_old_entries",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "old pages": {
        "task": "notifications.tasks.remove_old_pages",
        "schedule": timedelta(minutes=15),
        "options": {"expires": 600},
    },
    "old audit entries": {
        "task": "openalert.tasks.remove_old_audit_entries",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "what has run out": {
        "task": "openalert.tasks.remove_what_has_run_out",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "shifts that begin soon": {
        "task": "teams.tasks.tell_who_comes_on_call",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 55},
    },
    "notices about schedules": {
        "task": "teams.tasks.send_notices",
        "schedule": timedelta(seconds=10),
        "options": {"expires": 10},
    },
    "shift swaps that expire": {
        "task": "teams.tasks.expire_swaps",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 55},
    },
    "calendars of schedules": {
        "task": "teams.tasks.refresh_calendars",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 55},
    },
    "schedules ahead": {
        "task": "teams.tasks.look_ahead",
        "schedule": timedelta(hours=6),
        "options": {"expires": 3600},
    },
    "reports": {
        "task": "incidents.tasks.tend_reports",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 240},
    },
    "mail to subscribers": {
        "task": "notifications.tasks.deliver_subscriber_mail",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 2},
    },
    "old mail to subscribers": {
        "task": "notifications.tasks.remove_old_subscriber_mail",
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    "webhook sweep": {
        "task": "notifications.tasks.sweep_webhooks",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 2},
    },
    "old webhook deliveries": {
        "task": "notifications.tasks.remove_old_webhook_deliveries",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 240},
    },
    "outbox sweep": {
        "task": "notifications.tasks.sweep",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 2},
    },
}

# What each worker of a queue does every second by itself while nobody tells it to (openalert/standby.py).
STANDBY = {
    "openalert": [
        "escalations.tasks.tick",
        "escalations.tasks.resume",
        "incidents.tasks.wake_snoozed",
        "alerts.tasks.expire_heartbeats",
        "alerts.tasks.release_held",
    ],
    "delivery": ["notifications.tasks.deliver_left_behind"],
}

ALERT_RETENTION_DAYS = environment.alert_retention_days
TIMELINE_RETENTION_DAYS = environment.timeline_retention_days
AUDIT_RETENTION_DAYS = environment.audit_retention_days
PAGE_RETENTION_DAYS = environment.page_retention_days
ALERT_IMAGE_HOSTS = environment.alert_image_hosts
INTAKE_ALERTS_PER_MINUTE = environment.intake_alerts_per_minute
DRAIN_SECONDS = environment.drain_seconds
API_REQUESTS_PER_MINUTE = environment.api_requests_per_minute
PROVIDER_LIMIT_PER_MINUTE = environment.provider_limit_per_minute
PROVIDER_LIMITS = environment.provider_limits
BUNDLE_ABOVE_PER_MINUTE = environment.bundle_above_per_minute

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "teams.api.authentication.ApiTokenAuthentication",
        "teams.api.authentication.AccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["openalert.rest.parsers.LimitedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "openalert.rest.filters.SearchFilter",
        "openalert.rest.filters.OrderingFilter",
    ],
    "DEFAULT_PAGINATION_CLASS": "openalert.rest.pagination.CursorPagination",
    "DEFAULT_THROTTLE_CLASSES": [
        "openalert.rest.throttling.ScopedRateThrottle",
        "openalert.rest.throttling.CallerThrottle",
    ],
    # By the address that the server sees (FORWARDED_ALLOW_IPS), not by a header that anybody may send.
    "NUM_PROXIES": 0 if environment.knows_addresses else None,
    "DEFAULT_THROTTLE_RATES": {"sign_in": "30/min", "test_page": "10/min"},
    "DEFAULT_SCHEMA_CLASS": "openalert.rest.schema.AutoSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "openalert.rest.errors.Handler",
    "EXCEPTION_FORMATTER_CLASS": "openalert.rest.errors.Formatter",
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "CHECK_REVOKE_TOKEN": True,  # a new password makes the old one's tokens void
    "UPDATE_LAST_LOGIN": True,
    "USER_ID_CLAIM": "sub",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OpenAlert",
    "VERSION": "1",
    "DESCRIPTION": (
        "Everything that the pages do, for programs.\n\n"
        "Sign in with `POST /api/v1/auth/token` and send the access token as `Authorization: Bearer …`, or use "
        "the session of the pages. Alerts come in with an integration key instead. What you may not see does "
        "not exist (404). Every error has the shape `Error`."
    ),
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "ErrorType": ["validation_error", "client_error", "server_error"],
        "Severity": "incidents.enums.Severity",
        "Urgency": "incidents.enums.Urgency",
        "IncidentStatus": "incidents.enums.Status",
        "TimelineKind": "incidents.enums.Kind",
        "ActorKind": "incidents.enums.ActorKind",
        "LinkKind": "incidents.enums.LinkKind",
        "StatusUpdateState": "incidents.enums.UpdateState",
        "PostmortemState": "incidents.enums.PostmortemState",
        "ActionItemState": "incidents.enums.ActionItemState",
        "AlertStatus": "alerts.enums.AlertStatus",
        "AlertSource": "alerts.enums.Source",
        "AlertGrouping": "alerts.enums.Grouping",
        "HeartbeatIntervalUnit": "alerts.enums.IntervalUnit",
        "HeartbeatMailMeans": ["success", "fail"],
        "HeartbeatPingKind": "alerts.enums.PingKind",
        "MaintenanceMode": "alerts.enums.MaintenanceMode",
        "EmailDedup": ["subject", "thread", "message"],
        "AlertEventStatus": ["firing", "resolved", "acknowledged"],
        "Channel": "notifications.enums.Channel",
        "NotificationStatus": "notifications.enums.NotificationStatus",
        "NotificationPurpose": "notifications.enums.Purpose",
        "AttemptStatus": "notifications.enums.AttemptStatus",
        "DeliveryReceipt": "notifications.enums.Receipt",
        "WebhookFormat": "notifications.enums.WebhookFormat",
        "WebhookEvent": "notifications.enums.WebhookEvent",
        "WebhookDeliveryStatus": "notifications.enums.WebhookDeliveryStatus",
        "EscalationTargetKind": "escalations.enums.TargetKind",
        "EscalationRunStatus": "escalations.enums.RunStatus",
        "EscalationWaitReason": "escalations.enums.WaitReason",
        "Weekday": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "Role": "teams.enums.Role",
        "Rotation": "teams.enums.Rotation",
        "DependencyCorrelation": "teams.enums.Correlation",
        "OnHolidays": "teams.enums.OnHolidays",
        "SwapStatus": "teams.enums.SwapStatus",
        "ShiftSource": ["rotation", "calendar", "override", "fallback"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "alerts.api.document.add_intake",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": True, "filter": True},
    "TAGS": [
        {"name": "auth", "description": "Tokens."},
        {"name": "api-tokens", "description": "What programs sign in with."},
        {"name": "me", "description": "The person who asks."},
        {"name": "incidents", "description": "What responders acknowledge and resolve."},
        {"name": "action-items", "description": "What is to be done so that incidents do not happen again."},
        {"name": "alerts", "description": "What monitoring systems sent."},
        {"name": "changes", "description": "What was done to services."},
        {"name": "integrations", "description": "Doors for monitoring systems, and their keys."},
        {"name": "heartbeats", "description": "Programs that say at intervals that they are alive."},
        {"name": "maintenance-windows", "description": "Work during which nobody is paged."},
        {"name": "maintenance-series", "description": "Such work that comes again."},
        {"name": "on-call", "description": "Who is on call now."},
        {"name": "schedules", "description": "On-call schedules: rotations in layers."},
        {"name": "schedule-overrides", "description": "Somebody else for a while."},
        {"name": "shift-swaps", "description": "Somebody asks to be relieved of a shift."},
        {"name": "hand-over-notes", "description": "What those on call leave the next ones."},
        {"name": "calendar-feeds", "description": "Shifts for your calendar program."},
        {"name": "coverage", "description": "What will go wrong with schedules."},
        {"name": "escalation-policies", "description": "Whom to page, in what order."},
        {"name": "routing-rules", "description": "Which policy deals with which incident."},
        {"name": "escalation-runs", "description": "Policies being carried out."},
        {"name": "notifications", "description": "Pages, and the attempts to deliver them."},
        {"name": "contact-methods", "description": "How you are reached."},
        {"name": "push-subscriptions", "description": "Browsers that take push messages."},
        {"name": "notification-rules", "description": "By which method, and after how long."},
        {"name": "quiet-hours", "description": "When only critical pages reach you."},
        {"name": "dead-letters", "description": "Pages that failed for good."},
        {"name": "webhooks", "description": "Addresses that are told of incidents' events."},
        {"name": "webhook-deliveries", "description": "What webhooks were told."},
        {"name": "services", "description": "What teams run."},
        {"name": "service-dependencies", "description": "Which services need which."},
        {"name": "teams", "description": "Who owns things."},
        {"name": "memberships", "description": "Who belongs to which team."},
        {"name": "users", "description": "The people you share a team with."},
    ],
}

EMAIL_BACKEND = environment.email.backend
EMAIL_HOST = environment.email.host
EMAIL_PORT = environment.email.port
EMAIL_HOST_USER = environment.email.user
EMAIL_HOST_PASSWORD = environment.email.password
EMAIL_USE_TLS = environment.email.use_tls
EMAIL_USE_SSL = environment.email.use_ssl
EMAIL_TIMEOUT = environment.email.timeout
DEFAULT_FROM_EMAIL = SERVER_EMAIL = environment.from_address

# Accounts by which pages travel; what is "" is not set, and what needs it is off (.env.example).
TWILIO_ACCOUNT_SID = environment.providers.twilio_account_sid
TWILIO_AUTH_TOKEN = environment.providers.twilio_auth_token
TWILIO_FROM_NUMBER = environment.providers.twilio_from_number
TWILIO_MESSAGING_SERVICE_SID = environment.providers.twilio_messaging_service_sid
TWILIO_API_URL = environment.providers.twilio_api_url
FEATURE_VOICE_CALLS = environment.providers.voice_calls
PHONE_REGION = environment.providers.phone_region
SENDGRID_API_KEY = environment.providers.sendgrid_api_key
SENDGRID_EVENT_PUBLIC_KEY = environment.providers.sendgrid_event_public_key
SENDGRID_API_URL = environment.providers.sendgrid_api_url
WEB_PUSH_PRIVATE_KEY = environment.providers.web_push_private_key
WEB_PUSH_CONTACT = environment.providers.web_push_contact or SITE_URL
FCM_SERVICE_ACCOUNT_FILE = environment.providers.fcm_service_account_file
FCM_API_URL = environment.providers.fcm_api_url
SLACK_BOT_TOKEN = environment.providers.slack_bot_token
SLACK_SIGNING_SECRET = environment.providers.slack_signing_secret
SLACK_API_URL = environment.providers.slack_api_url
APPRISE_SCHEMES = environment.providers.apprise_schemes
PROVIDER_TIMEOUT_SECONDS = environment.providers.timeout
OUTGOING_ALLOWED_NETWORKS = environment.providers.outgoing_networks

INTAKE_MAIL_DOMAIN = environment.mail_intake.domain
INTAKE_SMTP_HOST = environment.mail_intake.host
INTAKE_SMTP_PORT = environment.mail_intake.port
INTAKE_SMTP_CERTIFICATE = environment.mail_intake.certificate
INTAKE_SMTP_CERTIFICATE_KEY = environment.mail_intake.certificate_key

LOGGING = logging_config(
    level=environment.log_level, format=environment.log_format, secrets=environment.secrets
)
# A terminal has better things to show than who asked for which page.
LOG_REQUESTS = environment.log_format == "json"

# Without a token only this machine may read /metrics, and only of the embedded installation.
METRICS_TOKEN = environment.watching.metrics_token
OPERATORS_EMAIL = environment.watching.operators_email
OPERATORS_WEBHOOK_URL = environment.watching.operators_webhook_url
HEARTBEAT_URL = environment.watching.heartbeat_url
HEARTBEAT_SECONDS = environment.watching.heartbeat_seconds
