"""The project's one settings file. What operators set comes from the table in `config/variables.py`."""

from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.templatetags.static import static
from django.utils.csp import CSP

from config import secret_checks
from config.variables import *  # noqa: F403
from config.variables import (
    DATABASE_LOCK_TIMEOUT_S,
    DATABASE_STATEMENT_TIMEOUT_S,
    DATABASE_URL,
    EMAIL_URL,
    ENGINE_NAME,
    LOG_FORMAT,
    S3_PUBLIC_ENDPOINT_URL,
    SECURE,
    SITE_URL,
    TRAINING_PYTHON,
    UPLOAD_CHECK_S,
    VALKEY_URL,
)
from core import log_lines
from core.project_root import PROJECT_ROOT
from core.version import VERSION

BASE_DIR = PROJECT_ROOT

secret_checks.refuse_weak()
CSRF_TRUSTED_ORIGINS = [SITE_URL]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "operations.console.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "config.apps.ProjectConfig",
    "operations",  # before staticfiles: `runserver` is ours
    "website",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "lucide",
    "rest_framework",
    "drf_spectacular",
    "tenants",
    "events",
    "metering",
    "accounts",
    "adapters",
    "inference",
    "keys",
    "billing",
    "provenance",
    "training",
    "drafts",
]

MIDDLEWARE = [
    "operations.monitoring.request_lines.request_lines",
    "django.middleware.security.SecurityMiddleware",
    "config.static_files.StaticFilesMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "website.middleware.private_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "operations.console.operators.operator_sessions",
    "website.middleware.choose_language",
    "operations.console.operators.read_only_impersonation",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "website.middleware.explain_wrong_method",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "tenants.context_processors.tenant",
                "website.pages.legal_links",
                "training.views.common.has_training",
            ],
            # Nearly every template says something to people, shows icons, and when something was.
            "builtins": [
                "django.templatetags.i18n",
                "website.templatetags.site",
            ],
        },
    }
]

_db = urlsplit(DATABASE_URL)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _db.hostname,
        "PORT": _db.port,
        "USER": unquote(_db.username or ""),
        "PASSWORD": unquote(_db.password or ""),
        "NAME": _db.path.lstrip("/"),
        "CONN_HEALTH_CHECKS": True,  # a pooled connection may have died with PostgreSQL
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": 8, "timeout": 5},
            "connect_timeout": 5,
            # Else a machine that lost its power would keep its locks for two hours, which is Linux' default.
            "options": "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
            f" -c lock_timeout={DATABASE_LOCK_TIMEOUT_S}s"
            f" -c statement_timeout={DATABASE_STATEMENT_TIMEOUT_S}s",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "accounts.adapter.StrengthValidator"},
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.forms.LogInForm",
    "signup": "accounts.forms.SignUpForm",
    "change_password": "accounts.forms.PasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordForm",
}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # only in the browser that signed up
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = True  # the page says the same to everybody; the mail says which it is
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_CHANGE_EMAIL = True  # one address an account: a new one takes its place once it is confirmed
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = {  # counted in the cache, so for all processes together
    "signup": "20/m/ip,200/h/ip",
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "reset_password": "20/m/ip,5/h/key",
    "reset_password_from_key": "20/m/ip",
    "confirm_email": "1/3m/key",
    "manage_email": "10/m/user",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
}
MFA_ADAPTER = "accounts.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE  # passkeys on http://localhost
MFA_TOTP_ISSUER = "Polyscribe"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Polyscribe: "
LOGIN_REDIRECT_URL = "member_home"
ACCOUNT_LOGOUT_REDIRECT_URL = "home"
LOGIN_URL = "account_login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = "config.formats"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
_redoc = files("drf_spectacular_sidecar") / "static" / "drf_spectacular_sidecar" / "redoc" / "bundles"
STATICFILES_DIRS = [BASE_DIR / "static", ("redoc", str(_redoc))]
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()  # the demo and the tests serve what nobody collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # nothing is uploaded through Django
    # Compressed when they are collected. No hashes in their names: modules import each other by name, and
    # while containers are replaced, a page of one version may ask the other.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

CACHES = {  # counts sign-ups and logins; losing it is harmless
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": VALKEY_URL,
        "KEY_PREFIX": "cache",
        "OPTIONS": {
            "serializer": "config.caches.JsonSerializer",
            "protocol": 2,
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
        },
    }
}
# How an event shows its object: a serializer, or a function of the row, as the API has it.
EVENT_PRESENTERS = {
    "tenants.apikey": "keys.presenters.KeyObject",
    "tenants.tenant": "accounts.presenters.WorkspaceObject",
    "events.webhookendpoint": "events.api.EndpointObject",
    "metering.creditgrant": "billing.api.payments.CreditGrantObject",
    "metering.invoice": "billing.api.invoices.InvoiceObject",
    "billing.creditnote": "billing.api.invoices.CreditNoteObject",
    "billing.payment": "billing.api.payments.PaymentObject",
    "adapters.adapterversion": "adapters.api.versions.VersionObject",
    "adapters.erasure": "adapters.api.erasures.present_erasure",
    "adapters.evaluation": "adapters.evidence.present_evaluation",
    "adapters.pricechange": "adapters.api.sharing.present_price_change",
    "adapters.share": "adapters.api.sharing.ShareObject",
    "adapters.style": "adapters.api.styles.present_own_style",
    "training.training": "training.api.trainings.TrainingObject",
}
# What is called with each event, in its transaction.
EVENT_SUBSCRIBERS = [
    "events.webhooks.delivery.queue_deliveries",
    "events.notices.catalog.queue_mails",
    "metering.quota_sync.snapshot.publish_after",
]

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a long task must not sit on others that another process could take
# A task that must run every second never shares a queue with one that runs for minutes or waits for storage.
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
_OTHER_QUEUES = {
    "uploads": [
        "adapters.tasks.advance",
        "adapters.tasks.erase",
        "training.tasks.advance",
        "training.tasks.erase",
    ],
    "reading": ["training.tasks.read"],  # up to half a minute for each document
    "training": ["training.tasks.run"],  # until a training ends
    "billing": [
        "billing.tasks.decide_author_shares",
        "billing.tasks.draft_batch",
        "billing.tasks.draft_invoices",
        "billing.tasks.finalize_batch",
        "billing.tasks.finalize_invoices",
        "metering.tasks.make_usage_partitions",  # may wait for a lock
    ],
    "webhooks": [  # waits for others: payment provider, mail server, customers' servers
        "billing.tasks.sweep_payments",
        "billing.tasks.top_up",
        "events.tasks.deliver_webhooks",
        "events.tasks.send_notices",
    ],
    f"engine.{ENGINE_NAME}": ["adapters.tasks.reconcile"],  # one for each engine; who enqueues names it
}
CELERY_TASK_ROUTES = {task: {"queue": queue} for queue, tasks in _OTHER_QUEUES.items() for task in tasks}
CELERY_TASK_ANNOTATIONS = {
    "adapters.tasks.advance": {"soft_time_limit": UPLOAD_CHECK_S, "time_limit": UPLOAD_CHECK_S + 30},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
_TIMETABLE = {  # every so many seconds
    2: ["adapters.tasks.reconcile_all", "inference.tasks.drain", "events.tasks.sweep_webhooks"],
    5: [
        "adapters.tasks.advance_all",
        "adapters.tasks.end_sharing",
        "adapters.tasks.erase_all",
        "adapters.tasks.plan",
        "adapters.tasks.republish_stale",
        "adapters.tasks.watch_canaries",
        "inference.tasks.drain_refusals",
        "inference.tasks.sweep",
        "operations.tasks.erase_workspaces",
        "tenants.tasks.link_audit",
        "events.tasks.sweep_notices",
        "training.tasks.advance_all",
    ],
    10: ["inference.tasks.prepare_changes"],
    60: [
        "adapters.tasks.change_prices",
        "billing.tasks.check_thresholds",
        "billing.tasks.sweep_payments",
        "billing.tasks.top_up",
        "operations.tasks.sample_service",
        "operations.tasks.sweep_retention",
        "accounts.tasks.delete_workspaces",
    ],
    180: ["adapters.tasks.compare_routes"],
    300: ["billing.tasks.decide_author_shares"],
    600: ["adapters.tasks.record_hosted"],
    3600: [
        "billing.tasks.finalize_invoices",
        "inference.tasks.close_month",
        "metering.tasks.make_usage_partitions",
    ],
}
# A message that waits for its worker until beat sends the next one is superfluous.
CELERY_BEAT_SCHEDULE = {
    task: {"task": task, "schedule": float(every_s), "options": {"expires": every_s}}
    for every_s, tasks in _TIMETABLE.items()
    for task in tasks
}

TRAINING_CONTROLS = BASE_DIR / "engine" / "controls"  # see docs/evidence.md
TRAINING_EVIDENCE_PROGRAM = str(BASE_DIR / "engine" / "evidence.py")
TRAINING_PROGRAM = str(BASE_DIR / "engine" / "train.py")
TRAINING_PYTHON = TRAINING_PYTHON or str(BASE_DIR / ".venv-engine" / "bin" / "python")

_upload_origins = []
if S3_PUBLIC_ENDPOINT_URL:
    _storage = urlsplit(S3_PUBLIC_ENDPOINT_URL)
    _upload_origins.append(f"{_storage.scheme}://{_storage.netloc}")
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF, *_upload_origins],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
SESSION_COOKIE_SECURE = SECURE
CSRF_COOKIE_SECURE = SECURE
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

_mail = urlsplit(EMAIL_URL)
MAIL_FOLDER = Path(unquote(_mail.path))
_mailer: dict[str, object] = {"BACKEND": "django.core.mail.backends.console.EmailBackend"}
if _mail.scheme == "file":
    _mailer = {
        "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "OPTIONS": {"file_path": str(MAIL_FOLDER)},
    }
elif _mail.hostname:
    _mailer = {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": _mail.hostname,
            "port": _mail.port or 587,
            "username": unquote(_mail.username or ""),
            "password": unquote(_mail.password or ""),
            "use_tls": True,
            "timeout": 15,
        },
    }
MAILERS = {"default": _mailer}
HAS_MAIL_SERVER = _mail.scheme == "smtp" and bool(_mail.hostname)
DEFAULT_FROM_EMAIL = f"Polyscribe <no-reply@{urlsplit(SITE_URL).hostname}>"

log_lines.configure(LOG_FORMAT)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        LOG_FORMAT: {"()": "core.log_lines.formatter"}
        if LOG_FORMAT == log_lines.JSON
        else {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    },
    "filters": {"routes": {"()": "core.log_lines.HideAddresses"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["routes"]},
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "botocore": {"level": "WARNING"},
        # A line for every task sent, received and done was 123 MB a day on an idle site.
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},  # it ends a session for each message
    },
}

# The accent of static/css/tokens.css, in unfold's steps from light to dark.
PRIMARY = {
    "50": "oklch(0.97 0.013 225)",
    "100": "oklch(0.95 0.02 225)",
    "200": "oklch(0.9 0.04 224)",
    "300": "oklch(0.86 0.08 220)",
    "400": "oklch(0.79 0.095 220)",
    "500": "oklch(0.62 0.1 224)",
    "600": "oklch(0.46 0.095 228)",
    "700": "oklch(0.39 0.09 228)",
    "800": "oklch(0.33 0.07 228)",
    "900": "oklch(0.28 0.055 228)",
    "950": "oklch(0.21 0.04 228)",
}
# As light as unfold's own greys, so that contrasts stay, in the hues of static/css/tokens.css: paper and ink.
BASE = {
    "50": "oklch(0.985 0.005 95)",
    "100": "oklch(0.967 0.007 95)",
    "200": "oklch(0.928 0.008 95)",
    "300": "oklch(0.872 0.01 95)",
    "400": "oklch(0.707 0.014 230)",
    "500": "oklch(0.551 0.018 240)",
    "600": "oklch(0.446 0.022 245)",
    "700": "oklch(0.373 0.022 245)",
    "800": "oklch(0.278 0.014 240)",
    "900": "oklch(0.21 0.013 240)",
    "950": "oklch(0.13 0.012 240)",
}
UNFOLD = {
    "SITE_TITLE": "Polyscribe console",
    "SITE_HEADER": "Polyscribe",
    "SITE_SUBHEADER": VERSION,
    "SITE_SYMBOL": "ink_pen",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {"base": BASE, "primary": PRIMARY},
    "STYLES": [lambda request: static("css/tokens.css"), lambda request: static("css/console.css")],
    "SCRIPTS": [lambda request: static("js/console.js")],
    "SIDEBAR": {"navigation": "operations.console.menu.navigation"},
}
REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": ["metering.throttle.ApiRequestsPerMinute"],
    "DEFAULT_SCHEMA_CLASS": "tenants.api.schema.ApiSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Polyscribe",
    "DESCRIPTION": "Manage writing styles, generate text with them, and track usage and cost.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVERS": [{"url": SITE_URL}],
    "CONTACT": {"name": "Polyscribe", "url": f"{SITE_URL}/docs/"},
    "LICENSE": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "website.api_schema.add_data_plane",
    ],
    "ENUM_NAME_OVERRIDES": {
        "EvaluationStatusEnum": "adapters.models.EvaluationStatus",
        "ProvenanceOutcomeEnum": "provenance.api.views.OUTCOMES",
        "FineTuningJobStatusEnum": "training.openai_api.shapes.JobStatus",
        "ScopeEnum": "tenants.models.Scope",
        "TrainingDocumentStatusEnum": "training.models.Document.Status",
        "TrainingStatusEnum": "training.models.Status",
        "VersionStatusEnum": "adapters.models.Status",
    },
}
