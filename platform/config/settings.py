"""The project's one settings file. Values come from the environment: `config/env.py` lists the variables."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.templatetags.static import static
from django.utils.csp import CSP

from config import env
from core import log_lines
from core.project_root import PROJECT_ROOT
from core.version import VERSION
from operations import secret_checks

BASE_DIR = PROJECT_ROOT

secret_checks.refuse_weak(env.read_all())
SECRET_KEY = env.read("DJANGO_SECRET_KEY")
SECRET_KEY_FALLBACKS = env.read_list("DJANGO_SECRET_KEY_FALLBACKS")
DEBUG = env.read_flag("DJANGO_DEBUG")
ALLOWED_HOSTS = env.read_list("DJANGO_ALLOWED_HOSTS")
SITE_URL = env.read("SITE_URL").rstrip("/")
CSRF_TRUSTED_ORIGINS = [SITE_URL]
SECURE = urlsplit(SITE_URL).scheme == "https"
SECURITY_CONTACT = env.read_list("SECURITY_CONTACT")
OPERATOR_NAME = env.read("OPERATOR_NAME")
OPERATOR_ADDRESS = env.read("OPERATOR_ADDRESS").replace("|", "\n")  # lines come with `|` between them
OPERATOR_EMAIL = env.read("OPERATOR_EMAIL")
OPERATOR_LAW = env.read("OPERATOR_LAW")

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
]

MIDDLEWARE = [
    "operations.monitoring.request_lines.request_lines",
    "django.middleware.security.SecurityMiddleware",
    "config.static_files.StaticFilesMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "website.privacy.private_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "operations.console.operators.operator_sessions",
    "website.languages.choose_language",
    "operations.console.impersonation.read_only_looks",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "website.wrong_method.explain_wrong_method",
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
                "website.legal_pages.legal_links",
                "training.views.context.training",
            ],
            # Nearly every template says something to people, shows icons, and when something was.
            "builtins": [
                "django.templatetags.i18n",
                "website.templatetags.amounts",
                "website.templatetags.icons",
                "website.templatetags.times",
                "website.templatetags.texts",
                "website.templatetags.support",
                "website.templatetags.social",
            ],
        },
    }
]

_db = urlsplit(env.read("DATABASE_URL"))
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
            f" -c lock_timeout={env.read('DATABASE_LOCK_TIMEOUT_S')}s"
            f" -c statement_timeout={env.read('DATABASE_STATEMENT_TIMEOUT_S')}s",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "accounts.passwords.StrengthValidator"},
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
MFA_ADAPTER = "accounts.mfa.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE  # passkeys on http://localhost
MFA_TOTP_ISSUER = "Polyscribe"
OPERATOR_MFA = SECURE or env.read_flag("OPERATOR_MFA")
TRUSTED_PROXIES = env.read_networks("TRUSTED_PROXIES")
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
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()  # the demo and the tests serve what nobody collected
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # nothing is uploaded through Django
    # Compressed when they are collected. No hashes in their names: modules import each other by name, and
    # while containers are replaced, a page of one version may ask the other.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

DRAINING_PATH = env.read("DRAINING_PATH")

VALKEY_URL = env.read("VALKEY_URL")
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

CELERY_BROKER_URL = env.read("CELERY_BROKER_URL")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a long task must not sit on others that another process could take
# A task that must run every second never shares a queue with one that runs for minutes or waits for storage.
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_ROUTES = {
    "operations.tasks.sample_service": {"queue": "housekeeping"},
    "operations.tasks.sweep_retention": {"queue": "housekeeping"},
    "operations.tasks.delete_old": {"queue": "housekeeping"},  # or the one that its row names
    "inference.tasks.drain": {"queue": "housekeeping"},
    "inference.tasks.drain_refusals": {"queue": "housekeeping"},
    "inference.tasks.sweep": {"queue": "housekeeping"},
    "inference.tasks.close_month": {"queue": "housekeeping"},
    "inference.tasks.open_next_month": {"queue": "housekeeping"},
    "metering.tasks.publish_planned_changes": {"queue": "housekeeping"},
    "billing.tasks.check_thresholds": {"queue": "housekeeping"},
    "billing.tasks.decide_author_shares": {"queue": "billing"},
    "tenants.tasks.link_audit": {"queue": "housekeeping"},
    "events.tasks.sweep_notices": {"queue": "housekeeping"},
    "events.tasks.sweep_webhooks": {"queue": "housekeeping"},
    "adapters.tasks.advance_all": {"queue": "housekeeping"},
    "adapters.tasks.change_prices": {"queue": "housekeeping"},
    "adapters.tasks.end_sharing": {"queue": "housekeeping"},
    "adapters.tasks.erase_all": {"queue": "housekeeping"},
    "adapters.tasks.record_hosted": {"queue": "housekeeping"},
    "adapters.tasks.plan": {"queue": "housekeeping"},
    "adapters.tasks.reconcile_all": {"queue": "housekeeping"},
    "adapters.tasks.republish_stale": {"queue": "housekeeping"},
    "adapters.tasks.compare_routes": {"queue": "housekeeping"},
    "adapters.tasks.watch_canaries": {"queue": "housekeeping"},
    "accounts.tasks.delete_workspaces": {"queue": "housekeeping"},
    "operations.tasks.erase_workspaces": {"queue": "housekeeping"},
    "adapters.tasks.advance": {"queue": "uploads"},
    "adapters.tasks.erase": {"queue": "uploads"},
    "training.tasks.advance_all": {"queue": "housekeeping"},
    "training.tasks.advance": {"queue": "uploads"},
    "training.tasks.erase": {"queue": "uploads"},
    "training.tasks.read": {"queue": "reading"},  # up to half a minute for each document
    "training.tasks.run": {"queue": "training"},  # until a training ends
    "billing.tasks.draft_invoices": {"queue": "billing"},
    "billing.tasks.draft_batch": {"queue": "billing"},
    "billing.tasks.finalize_batch": {"queue": "billing"},
    "metering.tasks.make_usage_partitions": {"queue": "billing"},  # may wait for a lock
    "billing.tasks.finalize_invoices": {"queue": "billing"},
    "billing.tasks.sweep_payments": {"queue": "webhooks"},  # waits for the payment provider
    "billing.tasks.top_up": {"queue": "webhooks"},  # the same
    "events.tasks.deliver_webhooks": {"queue": "webhooks"},  # waits for other people's servers
    "events.tasks.send_notices": {"queue": "webhooks"},  # waits for the mail server
    # Each engine has a queue of its own; who enqueues names it.
    "adapters.tasks.reconcile": {"queue": f"engine.{env.read('ENGINE_NAME')}"},
}
UPLOAD_CHECK_S = env.read_int("UPLOAD_CHECK_S")
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
# name → (task, seconds between two messages)
_BEAT = {
    "sweep-webhooks": ("events.tasks.sweep_webhooks", 2),
    "drain": ("inference.tasks.drain", 2),
    "reconcile-engines": ("adapters.tasks.reconcile_all", 2),
    "link-audit": ("tenants.tasks.link_audit", 5),
    "sweep-notices": ("events.tasks.sweep_notices", 5),
    "drain-refusals": ("inference.tasks.drain_refusals", 5),
    "sweep-holds": ("inference.tasks.sweep", 5),
    "advance-versions": ("adapters.tasks.advance_all", 5),
    "plan-placements": ("adapters.tasks.plan", 5),
    "advance-trainings": ("training.tasks.advance_all", 5),
    "republish": ("adapters.tasks.republish_stale", 5),
    "erase": ("adapters.tasks.erase_all", 5),
    "erase-workspaces": ("operations.tasks.erase_workspaces", 5),
    "end-sharing": ("adapters.tasks.end_sharing", 5),
    "watch-canaries": ("adapters.tasks.watch_canaries", 5),
    "open-next-month": ("inference.tasks.open_next_month", 20),
    "publish-planned-changes": ("metering.tasks.publish_planned_changes", 20),
    "change-prices": ("adapters.tasks.change_prices", 60),
    "sweep-retention": ("operations.tasks.sweep_retention", 60),
    "sample-service": ("operations.tasks.sample_service", 60),
    "sweep-payments": ("billing.tasks.sweep_payments", 60),
    "top-up": ("billing.tasks.top_up", 60),
    "check-thresholds": ("billing.tasks.check_thresholds", 60),
    "delete-workspaces": ("accounts.tasks.delete_workspaces", 60),
    "compare-routes": ("adapters.tasks.compare_routes", 180),
    "decide-author-shares": ("billing.tasks.decide_author_shares", 300),
    "record-hosted": ("adapters.tasks.record_hosted", 600),
    "close-month": ("inference.tasks.close_month", 3_600),
    "finalize-invoices": ("billing.tasks.finalize_invoices", 3_600),
    "make-usage-partitions": ("metering.tasks.make_usage_partitions", 3_600),
}
# A message that waits for its worker until beat sends the next one is superfluous.
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": float(every_s), "options": {"expires": every_s}}
    for name, (task, every_s) in _BEAT.items()
}

S3_ENDPOINT_URL = env.read("S3_ENDPOINT_URL") or None
S3_PUBLIC_ENDPOINT_URL = env.read("S3_PUBLIC_ENDPOINT_URL") or S3_ENDPOINT_URL
S3_BUCKET = env.read("S3_BUCKET")
S3_REGION = env.read("S3_REGION")
S3_ACCESS_KEY_ID = env.read("AWS_ACCESS_KEY_ID") or None
S3_SECRET_ACCESS_KEY = env.read("AWS_SECRET_ACCESS_KEY") or None

API_KEY_PEPPERS = {
    number: bytes.fromhex(pepper) for number, pepper in env.read_keys("API_KEY_PEPPERS").items()
}
# None: the highest number. A number lets every process know a new pepper before one stores keys under it.
API_KEY_PEPPER = env.read_int("API_KEY_PEPPER") if env.read("API_KEY_PEPPER") else None
API_ALLOWED_ORIGINS = env.read_origins("API_ALLOWED_ORIGINS")
API_REFUSALS_PER_KEY = env.read_int("API_REFUSALS_PER_KEY")
API_REFUSALS_PER_ADDRESS = env.read_int("API_REFUSALS_PER_ADDRESS")
API_AUTO_TOOL_CHOICE = env.read_choice("API_AUTO_TOOL_CHOICE", ("none", "refuse"))
WORKSPACES_PER_HOUR = env.read_int("WORKSPACES_PER_HOUR")
WORKSPACES_PER_DAY = env.read_int("WORKSPACES_PER_DAY")
ENGINE_CENTS_PER_HOUR = env.read_int("ENGINE_CENTS_PER_HOUR")
MAX_UNPAID_USD = env.read_int("MAX_UNPAID_USD")
NEW_PEOPLE_PER_DOMAIN = env.read_int("NEW_PEOPLE_PER_DOMAIN")
NEW_PEOPLE_PER_NETWORK = env.read_int("NEW_PEOPLE_PER_NETWORK")
RESPONSES_STORE = env.read_choice("RESPONSES_STORE", ("off", "on")) == "on"
RESPONSES_MAX_MIB = env.read_int("RESPONSES_MAX_MIB")
CACHE_SALT_SECRET = bytes.fromhex(env.read("CACHE_SALT_SECRET"))
# Defaults for requests. Not 0: what has no draw has no watermark, and only a request may ask for that.
LEAST_AND_MOST_TEMPERATURE = (0.1, 2.0)
LEAST_AND_MOST_TOP_P = (0.1, 1.0)
STYLE_TEMPERATURE = env.read_number("STYLE_TEMPERATURE", *LEAST_AND_MOST_TEMPERATURE)
STYLE_TOP_P = env.read_number("STYLE_TOP_P", *LEAST_AND_MOST_TOP_P)
BASE_TEMPERATURE = env.read_number("BASE_TEMPERATURE", *LEAST_AND_MOST_TEMPERATURE)
BASE_TOP_P = env.read_number("BASE_TOP_P", *LEAST_AND_MOST_TOP_P)
WATERMARK = env.read_choice("WATERMARK", ("on", "required", "off"))
WATERMARK_KEYS = {epoch: int(key, 16) for epoch, key in env.read_keys("WATERMARK_KEYS").items()}
RECEIPT_KEYS = {number: bytes.fromhex(seed) for number, seed in env.read_keys("RECEIPT_KEYS").items()}

WEBHOOKS_TO_LOOPBACK = env.read_flag("WEBHOOKS_TO_LOOPBACK") and not SECURE

AUDIT_KEPT_DAYS = env.read_int("AUDIT_KEPT_DAYS")
USAGE_EVENTS_KEPT_MONTHS = env.read_int("USAGE_EVENTS_KEPT_MONTHS")

ENGINE_NAME = env.read("ENGINE_NAME")
ENGINE_KIND = env.read("ENGINE_KIND")
ENGINE_REPLICAS = env.read_int("ENGINE_REPLICAS")
ENGINE_URL = env.read("ENGINE_URL").rstrip("/")
ENGINE_API_KEY = env.read("ENGINE_API_KEY")
ENGINE_DEVICE = env.read("ENGINE_DEVICE")
ENGINE_ADAPTERS_DIR = Path(env.read("ENGINE_ADAPTERS_DIR")).absolute()
ENGINE_MAX_LORAS = env.read_int("ENGINE_MAX_LORAS")
ENGINE_MAX_CPU_LORAS = env.read_int("ENGINE_MAX_CPU_LORAS")
ENGINE_MAX_LORA_RANK = env.read_int("ENGINE_MAX_LORA_RANK")
ENGINE_MAX_MODEL_LEN = env.read_int("ENGINE_MAX_MODEL_LEN")
ENGINE_MAX_NUM_SEQS = env.read_int("ENGINE_MAX_NUM_SEQS")
WEB_WORKERS = env.read_int("WEB_WORKERS")
BASE_MODEL = env.read("BASE_MODEL")
TRAINING = env.read_choice("TRAINING", ("on", "off")) == "on"
TRAINING_CHECKPOINT_S = env.read_int("TRAINING_CHECKPOINT_S")
TRAINING_DEVICE = env.read_choice("TRAINING_DEVICE", ("cpu", "cuda"))
TRAINING_CONTROLS = BASE_DIR / "engine" / "controls"  # see engine/controls/README.md
TRAINING_EVIDENCE_PROGRAM = str(BASE_DIR / "engine" / "evidence.py")
TRAINING_PROGRAM = str(BASE_DIR / "engine" / "train.py")
TRAINING_PYTHON = env.read("TRAINING_PYTHON") or str(BASE_DIR / ".venv-engine" / "bin" / "python")
TRAINING_QUANTISATION = env.read_choice("TRAINING_QUANTISATION", ("", "4-bit"))
TRAINING_THREADS = env.read_int("TRAINING_THREADS")
TRAINING_WRITER_PARAMETERS = env.read_int("TRAINING_WRITER_PARAMETERS")
BASE_MODEL_DIR = Path(env.read("BASE_MODEL_DIR")).absolute()

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
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.read_flag("HSTS_SUBDOMAINS")
SECURE_HSTS_PRELOAD = env.read_flag("HSTS_PRELOAD")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

_mail = urlsplit(env.read("EMAIL_URL"))
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
MAILBOX = env.read_flag("MAILBOX") and _mail.scheme == "file" and not SECURE
DEFAULT_FROM_EMAIL = f"Polyscribe <no-reply@{urlsplit(SITE_URL).hostname}>"

LOG_FORMAT = env.read_choice("LOG_FORMAT", log_lines.FORMATS)
log_lines.configure(LOG_FORMAT)
TRACES_ENDPOINT = env.read("TRACES_ENDPOINT")
TRACES_RATIO = env.read_number("TRACES_RATIO", 0, 1)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        log_lines.TEXT: {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        log_lines.JSON: {"()": "core.log_lines.formatter"},
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
        "ProvenanceOutcomeEnum": "provenance.api.shapes.OUTCOMES",
        "FineTuningJobStatusEnum": "training.openai_api.shapes.JobStatus",
        "ScopeEnum": "tenants.models.Scope",
        "TrainingDocumentStatusEnum": "training.models.Document.Status",
        "TrainingStatusEnum": "training.models.Status",
        "VersionStatusEnum": "adapters.models.Status",
    },
}

# Billing: texts of several lines come with `|` between them.
STRIPE_SECRET_KEY = env.read("STRIPE_SECRET_KEY")
STRIPE_WEBHOOK_SECRET = env.read("STRIPE_WEBHOOK_SECRET")
STRIPE_API_BASE = env.read("STRIPE_API_BASE").rstrip("/")
INVOICE_ISSUER = env.read("INVOICE_ISSUER").replace("|", "\n")
SUPPORT_EMAIL = env.read("SUPPORT_EMAIL").strip()
PAYMENT_INSTRUCTIONS = env.read("PAYMENT_INSTRUCTIONS").replace("|", "\n")
