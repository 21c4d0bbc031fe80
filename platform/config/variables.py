"""Every environment variable that the project reads: the table of which the settings of these names are made.

What a row means stands below it. `python -m config.variables` writes docs/settings.md, in any environment.
"""

from urllib.parse import urlsplit

from config import env
from config.env import (
    choice,
    flag,
    folder,
    hexadecimal,
    items,
    key_number,
    keys,
    lines,
    networks,
    number,
    origins,
    switch,
    text,
    url,
    whole,
)
from core import log_lines

SECRET_KEY = text("DJANGO_SECRET_KEY", None, secret="strong")
"""Signs sessions and forms. Any long random text."""
SECRET_KEY_FALLBACKS = items("DJANGO_SECRET_KEY_FALLBACKS", "", secret="strong")
"""Previous keys, whose signatures are still accepted while the key is being rotated."""
DEBUG = flag("DJANGO_DEBUG")
"""1 shows tracebacks in the browser. Never use it in production."""
ALLOWED_HOSTS = items("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1")
"""Host names the site responds to."""
SITE_URL = url("SITE_URL", "http://127.0.0.1:8000", "http", "https")
"""The site's public URL."""
SECURE = urlsplit(SITE_URL).scheme == "https"

DATABASE_URL = url("DATABASE_URL", None, secret="strong")
"""PostgreSQL: postgres://user:password@host:port/name."""
DATABASE_LOCK_TIMEOUT_S = whole("DATABASE_LOCK_TIMEOUT_S", 5, unit="seconds")
"""How long a statement waits for a lock before it fails and is retried. 0: no limit."""
DATABASE_STATEMENT_TIMEOUT_S = whole("DATABASE_STATEMENT_TIMEOUT_S", 30, unit="seconds")
"""How long a statement can run; workers get 300. `manage.py` sets both to 0, because migrations take long."""
_REDIS = ("redis", "rediss", "unix", "redis+socket")
VALKEY_URL = url("VALKEY_URL", None, *_REDIS, secret="strong")
"""Valkey or Redis for limits and usage: redis://:password@host:port/0, or
unix://:password@/path/of/the/socket?db=0 on the same machine."""
CELERY_BROKER_URL = url("CELERY_BROKER_URL", None, *_REDIS, secret="strong")
"""Valkey or Redis for Celery. Must be a different database from VALKEY_URL."""
S3_ENDPOINT_URL = url("S3_ENDPOINT_URL", "") or None
"""S3 URL used by the servers. Empty: AWS."""
S3_PUBLIC_ENDPOINT_URL = url("S3_PUBLIC_ENDPOINT_URL", "") or S3_ENDPOINT_URL
"""S3 URL used by browsers for uploads. Empty: S3_ENDPOINT_URL."""
S3_BUCKET = text("S3_BUCKET", "polyscribe")
"""The bucket for all adapters. Must be private."""
S3_REGION = text("S3_REGION", "us-east-1")
"""The bucket's region."""
S3_ACCESS_KEY_ID = text("AWS_ACCESS_KEY_ID", "") or None
"""S3 credentials."""
S3_SECRET_ACCESS_KEY = text("AWS_SECRET_ACCESS_KEY", "", secret="strong") or None
"""S3 credentials."""

API_KEY_PEPPERS = keys("API_KEY_PEPPERS", None, secret="strong")
"""Peppers of API keys. The secrets of webhooks and of second factors are encrypted under them, too."""
API_KEY_PEPPER = key_number("API_KEY_PEPPER")
"""The number of the pepper for new keys and secrets, so that every process knows it before one stores keys
under it. Empty: the highest one."""
API_ALLOWED_ORIGINS = origins("API_ALLOWED_ORIGINS", "app://obsidian.md")
"""Origins whose pages can call `/v1` and `/mcp` from a browser, such as `https://app.example.com,https://…`;
`*`: all; `none`: none. The default is Obsidian's on a computer; add `capacitor://localhost` for an iPhone,
and `http://localhost` for Android."""
API_REFUSALS_PER_KEY = whole("API_REFUSALS_PER_KEY", 1200)
"""Refused requests per minute and API key. Above that, all its requests are refused until the minute ends."""
API_REFUSALS_PER_ADDRESS = whole("API_REFUSALS_PER_ADDRESS", 300)
"""The same for requests without a valid key, per client address (IPv6: per /64)."""
API_AUTO_TOOL_CHOICE = choice("API_AUTO_TOOL_CHOICE", "none", "none", "refuse")
"""What `tool_choice: auto` means if the base model's chat template doesn't support tools. none: a plain
answer with the header `x-polyscribe-tool-choice: none`. refuse: 400."""
WORKSPACES_PER_HOUR = whole("WORKSPACES_PER_HOUR", 3)
"""Workspaces one person can create per hour, including ones deleted since."""
WORKSPACES_PER_DAY = whole("WORKSPACES_PER_DAY", 5)
"""The same, per 24 hours."""
NEW_PEOPLE_PER_DOMAIN = whole("NEW_PEOPLE_PER_DOMAIN", 20)
"""New people with addresses of one domain who can create a workspace per 24 hours. Large mail providers are
not limited."""
NEW_PEOPLE_PER_NETWORK = whole("NEW_PEOPLE_PER_NETWORK", 20)
"""The same from one IPv4 address or IPv6 /48."""
MAX_UNPAID_USD = whole("MAX_UNPAID_USD", 50, unit="$")
"""How much usage beyond the included tokens a workspace can leave unpaid until it pays its first invoice.
Operators can set another amount for a workspace."""
ENGINE_CENTS_PER_HOUR = whole("ENGINE_CENTS_PER_HOUR", 0, unit="US cents")
"""What one engine (each replica) costs you per hour, for the console's Margins page."""
HTTP_MAX_CONNECTIONS = whole("HTTP_MAX_CONNECTIONS", 4096, least=1)
"""Maximum open connections per process of the gateway's server. Above that, clients get 503."""
HTTP_MAX_CONNECTIONS_PER_ADDRESS = whole("HTTP_MAX_CONNECTIONS_PER_ADDRESS", 1024, least=1)
"""Maximum open connections per process from one client address. Trusted proxies are not limited."""
WEBHOOKS_TO_LOOPBACK = flag("WEBHOOKS_TO_LOOPBACK") and not SECURE
"""1 allows webhooks to this machine, also over plain http. For the demo and tests; ignored if SITE_URL is
https."""

CACHE_SALT_SECRET = hexadecimal("CACHE_SALT_SECRET", None, secret="strong")
"""Isolates the workspaces' prefix caches in the engine."""
RESPONSES_STORE = switch("RESPONSES_STORE", "off")
"""on: workspaces may have their responses and conversations stored for some days, in PostgreSQL, for OpenAI's
Responses API. Each decides for itself, and stores nothing until then."""
RESPONSES_MAX_MIB = whole("RESPONSES_MAX_MIB", 256, unit="MiB")
"""How much a workspace may store of them."""
WATERMARK = choice("WATERMARK", "on", "on", "required", "off")
"""Watermark generated text. required: always, and engines that can't are not used. on: unless a workspace or
an API key turns it off. off: never."""
# Not 0: what has no draw has no watermark, and only a request may ask for that.
LEAST_AND_MOST_TEMPERATURE = (0.1, 2.0)
LEAST_AND_MOST_TOP_P = (0.1, 1.0)
STYLE_TEMPERATURE = number("STYLE_TEMPERATURE", 0.8, LEAST_AND_MOST_TEMPERATURE)
"""The temperature of requests to a style that send none, unless its owner set another."""
STYLE_TOP_P = number("STYLE_TOP_P", 0.95, LEAST_AND_MOST_TOP_P)
"""The same for `top_p`."""
BASE_TEMPERATURE = number("BASE_TEMPERATURE", 0.7, LEAST_AND_MOST_TEMPERATURE)
"""The temperature of requests to the base model that send none."""
BASE_TOP_P = number("BASE_TOP_P", 0.95, LEAST_AND_MOST_TOP_P)
"""The same for `top_p`."""
_watermark_keys = keys("WATERMARK_KEYS", "", digits=16, secret="any", read_by="site, vllm")
"""The engines' watermark keys by epoch. The detector looks for all of them. Empty: there is no watermark."""
WATERMARK_KEYS = {epoch: int.from_bytes(key) for epoch, key in _watermark_keys.items()}
key_number("WATERMARK_KEY", read_by="vllm")
"""The epoch that engines mark with. Empty: the highest one."""
RECEIPT_KEYS = keys("RECEIPT_KEYS", "", digits=64, secret="any", read_by="web, gateway")
"""Ed25519 keys that sign receipts. The highest one signs, all of them verify. Empty: there are no
receipts."""

ENGINE_NAME = text("ENGINE_NAME", "local")
"""The engine's name; its worker serves the queue engine.NAME."""
ENGINE_KIND = choice("ENGINE_KIND", "vllm", "vllm", "ray")
"""vllm, or ray: a Ray Serve LLM cluster, which pulls adapters from S3."""
ENGINE_REPLICAS = whole("ENGINE_REPLICAS", 1, least=1)
"""Replicas of a Ray cluster, each with the limits below."""
ENGINE_URL = url("ENGINE_URL", "http://127.0.0.1:8001")
"""The engine's URL. Private network only."""
ENGINE_API_KEY = text("ENGINE_API_KEY", "", secret="strong", read_by="site, vllm")
"""vLLM's VLLM_API_KEY."""
ENGINE_DEVICE = choice("ENGINE_DEVICE", "cpu", "cpu", "cuda", read_by="site, vllm")
"""What vLLM runs on."""
ENGINE_ADAPTERS_DIR = folder("ENGINE_ADAPTERS_DIR", "var/adapters", read_by="site, vllm")
"""Where the engine's worker caches adapters for vLLM."""
ENGINE_MAX_LORAS = whole("ENGINE_MAX_LORAS", 8, least=1, read_by="site, vllm")
"""vLLM's --max-loras."""
ENGINE_MAX_CPU_LORAS = whole("ENGINE_MAX_CPU_LORAS", 64, least=1, read_by="site, vllm")
"""vLLM's --max-cpu-loras."""
ENGINE_MAX_LORA_RANK = whole("ENGINE_MAX_LORA_RANK", 16, least=1, read_by="site, vllm")
"""vLLM's --max-lora-rank. Uploads with a higher rank are rejected."""
ENGINE_MAX_MODEL_LEN = whole("ENGINE_MAX_MODEL_LEN", 2048, least=1, unit="tokens", read_by="site, vllm")
"""vLLM's --max-model-len."""
ENGINE_MAX_NUM_SEQS = whole("ENGINE_MAX_NUM_SEQS", 128, least=1, read_by="site, vllm")
"""vLLM's --max-num-seqs: sequences that run at once."""
WEB_WORKERS = whole("WEB_WORKERS", 1, least=1)
"""Web processes of this site, at most `ENGINE_MAX_LORAS - 1`. Each gets an equal share of the engine."""
BASE_MODEL = text("BASE_MODEL", "SmolLM2-135M-Instruct", read_by="site, vllm")
"""The base model's name; vLLM serves it under this."""
BASE_MODEL_DIR = folder("BASE_MODEL_DIR", "var/models/SmolLM2-135M-Instruct", read_by="site, vllm")
"""The base model's files: config, tokenizer, weights."""

TRAINING = switch("TRAINING", "on")
"""off: no styles are trained from texts, and nothing on the site mentions it."""
TRAINING_CHECKPOINT_S = whole("TRAINING_CHECKPOINT_S", 60, least=1, unit="seconds")
"""Time between a training's checkpoints. A killed training repeats so much at most."""
TRAINING_DEVICE = choice("TRAINING_DEVICE", "cpu", "cpu", "cuda")
"""What the training worker trains on."""
TRAINING_PYTHON = text("TRAINING_PYTHON", "")
"""The Python with torch and PEFT that trains. Empty: .venv-engine/bin/python."""
TRAINING_QUANTISATION = choice("TRAINING_QUANTISATION", "", "", "4-bit")
"""4-bit trains on a quantized base (QLoRA, CUDA only), for an engine that serves one. Empty: none."""
TRAINING_THREADS = whole("TRAINING_THREADS", 1, least=1)
"""Processor threads of a training on a CPU."""
TRAINING_WRITER_PARAMETERS = whole("TRAINING_WRITER_PARAMETERS", 3_000_000_000)
"""Parameters from which the served base model writes requests for the examples; below, keywords do."""
UPLOAD_CHECK_S = whole("UPLOAD_CHECK_S", 300, least=1, unit="seconds")
"""How long the validation of one upload may take. After three attempts, the upload is rejected."""

EMAIL_URL = url("EMAIL_URL", "", "smtp", "file", secret="any", read_by="web, webhooks")
"""SMTP server with STARTTLS, smtp://user:password@host:port; or file:///folder, where each mail becomes a
file. Empty: mail goes to the log."""
MAILBOX = flag("MAILBOX") and EMAIL_URL.startswith("file:") and not SECURE
"""1 shows the mail of EMAIL_URL=file:///… at /mailbox/, to this machine only. For the demo."""
AUDIT_KEPT_DAYS = whole("AUDIT_KEPT_DAYS", 1095, least=30, or_zero=True, unit="days")
"""How long to keep the audit log. A checkpoint preserves its chain. 0: forever."""
USAGE_EVENTS_KEPT_MONTHS = whole("USAGE_EVENTS_KEPT_MONTHS", 24, least=3, or_zero=True, unit="whole months")
"""How long to keep the log of single requests. An older month is deleted once its usage is on final invoices.
The ledger, invoices and totals by day stay. 0: forever."""

INVOICE_ISSUER = lines("INVOICE_ISSUER", "Polyscribe")
"""The issuer of invoices: name, address and tax id. Each invoice keeps the value at the time."""
SUPPORT_EMAIL = text("SUPPORT_EMAIL", "").strip()
"""Contact address for billing questions and problems. Shown in the footer, on error pages, and on pages, in
emails and errors about billing. Empty: no contact is shown."""
PAYMENT_INSTRUCTIONS = lines("PAYMENT_INSTRUCTIONS", "")
"""How to pay without a card, such as bank details. Shown on unpaid invoices and top-ups."""
STRIPE_SECRET_KEY = text("STRIPE_SECRET_KEY", "", secret="any", read_by="web, webhooks")
"""Stripe secret or restricted key, `sk_…` or `rk_…`. Empty: bank transfers only."""
STRIPE_WEBHOOK_SECRET = text("STRIPE_WEBHOOK_SECRET", "", secret="any", read_by="web, webhooks")
"""Signing secret, `whsec_…`, of the endpoint SITE_URL/billing/stripe/ in Stripe's dashboard."""
STRIPE_API_BASE = url("STRIPE_API_BASE", "")
"""An alternative URL of Stripe's API, for tests. Empty: Stripe's own."""
OPERATOR_NAME = text("OPERATOR_NAME", "")
"""The operator of this site, as named in its terms and privacy notice. Both pages are hidden while this,
OPERATOR_ADDRESS or OPERATOR_EMAIL is empty."""
OPERATOR_ADDRESS = lines("OPERATOR_ADDRESS", "")
"""The operator's postal address."""
OPERATOR_EMAIL = text("OPERATOR_EMAIL", "")
"""The operator's email address for questions about terms and privacy."""
OPERATOR_LAW = text("OPERATOR_LAW", "")
"""The country whose law applies to the terms. Empty: the country of the operator's address."""

LOG_FORMAT = choice("LOG_FORMAT", log_lines.TEXT, *log_lines.FORMATS)
"""text: plain sentences, without a line for each successful request. json: one JSON object per line,
including each request and each audited action."""
TRACES_ENDPOINT = text("TRACES_ENDPOINT", "")
"""OTLP/HTTP endpoint for OpenTelemetry traces of requests, such as http://collector:4318. Empty: no
traces."""
TRACES_RATIO = number("TRACES_RATIO", 0.1, (0, 1))
"""Fraction of requests to trace."""
SECURITY_CONTACT = items("SECURITY_CONTACT", "")
"""Where to report vulnerabilities: email addresses or URLs. Empty: no /.well-known/security.txt."""
SECURE_HSTS_INCLUDE_SUBDOMAINS = flag("HSTS_SUBDOMAINS")
"""1 makes browsers use https for all subdomains of SITE_URL as well. Only if all of them support it."""
SECURE_HSTS_PRELOAD = flag("HSTS_PRELOAD")
"""1 allows browsers to preload the site as https-only."""
OPERATOR_MFA = flag("OPERATOR_MFA") or SECURE
"""1 requires operators to use a second factor for the console. Always required if SITE_URL is https."""
DRAINING_PATH = text("DRAINING_PATH", "")
"""While this file exists, `/healthz` and `/readyz` return 503, so that proxies send no new requests to a
process about to stop. Empty: never."""
TRUSTED_PROXIES = networks("TRUSTED_PROXIES", "")
"""Addresses or networks of the proxies in front. X-Forwarded-For is trusted only from them. Empty: the
connecting address is the client."""

if __name__ == "__main__":
    print(env.settings_page(__file__), end="")
else:
    env.refuse_faults(__file__)
