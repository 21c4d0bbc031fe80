"""Every environment variable that the project reads, with its default, in one table.

`docs/settings.md` is written from it, and a test compares. Why there is no library for this:
docs/decisions/0020-the-environment-is-read-without-a-library.md.
"""

import ipaddress
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
# How a socket for both kinds of addresses names a client of IPv4.
IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
# As browsers send it in `Origin`, but for letters' case; what follows it in an address is left out there.
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?=[/?#]|$)", re.I)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # no browser sends them


@dataclass(frozen=True)
class Variable:
    """One environment variable: its default (None: it is required) and what it means."""

    default: str | None
    meaning: str


VARIABLES: dict[str, Variable] = {
    "DJANGO_SECRET_KEY": Variable(None, "Signs sessions and forms. Any long random text."),
    "DJANGO_SECRET_KEY_FALLBACKS": Variable(
        "",
        "Previous keys, separated by commas, whose signatures are still accepted while the key is "
        "being rotated.",
    ),
    "DJANGO_DEBUG": Variable("0", "1 shows tracebacks in the browser. Never use it in production."),
    "DJANGO_ALLOWED_HOSTS": Variable("localhost,127.0.0.1", "Host names the site responds to."),
    "SITE_URL": Variable("http://127.0.0.1:8000", "The site's public URL, without a trailing slash."),
    "DATABASE_URL": Variable(None, "PostgreSQL: postgres://user:password@host:port/name."),
    "DATABASE_LOCK_TIMEOUT_S": Variable(
        "5", "Seconds a statement waits for a lock before it fails and is retried. 0: no limit."
    ),
    "DATABASE_STATEMENT_TIMEOUT_S": Variable(
        "30",
        "Maximum seconds a statement can run; workers get 300. `manage.py` sets both to 0, because "
        "migrations take long.",
    ),
    "VALKEY_URL": Variable(
        None,
        "Valkey or Redis for limits and usage: redis://:password@host:port/0, or "
        "unix://:password@/path/of/the/socket?db=0 on the same machine.",
    ),
    "CELERY_BROKER_URL": Variable(
        None, "Valkey or Redis for Celery. Must be a different database from VALKEY_URL."
    ),
    "S3_ENDPOINT_URL": Variable("", "S3 URL used by the servers. Empty: AWS."),
    "S3_PUBLIC_ENDPOINT_URL": Variable("", "S3 URL used by browsers for uploads. Empty: S3_ENDPOINT_URL."),
    "S3_BUCKET": Variable("polyscribe", "The bucket for all adapters. Must be private."),
    "S3_REGION": Variable("us-east-1", "The bucket's region."),
    "AWS_ACCESS_KEY_ID": Variable("", "S3 credentials."),
    "AWS_SECRET_ACCESS_KEY": Variable("", "S3 credentials."),
    "API_KEY_PEPPERS": Variable(
        None,
        "Peppers of API keys, `1:hex,2:hex`. The secrets of webhooks and of second factors are encrypted "
        "under them, too.",
    ),
    "API_KEY_PEPPER": Variable(
        "", "The number of the pepper for new keys and secrets. Empty: the highest one."
    ),
    "API_ALLOWED_ORIGINS": Variable(
        "app://obsidian.md",
        "Origins whose pages can call `/v1` and `/mcp` from a browser, such as "
        "`https://app.example.com,https://…`; `*`: all; `none`: none. The default is "
        "Obsidian's on a computer; add `capacitor://localhost` for an iPhone, and `http://localhost` for "
        "Android.",
    ),
    "API_REFUSALS_PER_KEY": Variable(
        "1200",
        "Refused requests per minute and API key. Above that, all its requests are refused until the "
        "minute ends.",
    ),
    "API_REFUSALS_PER_ADDRESS": Variable(
        "300", "The same for requests without a valid key, per client address (IPv6: per /64)."
    ),
    "API_AUTO_TOOL_CHOICE": Variable(
        "none",
        "What `tool_choice: auto` means if the base model's chat template doesn't support tools. none: "
        "a plain answer with the header `x-polyscribe-tool-choice: none`. refuse: 400.",
    ),
    "WORKSPACES_PER_HOUR": Variable(
        "3", "Workspaces one person can create per hour, including ones deleted since."
    ),
    "WORKSPACES_PER_DAY": Variable("5", "The same, per 24 hours."),
    "NEW_PEOPLE_PER_DOMAIN": Variable(
        "20",
        "New people with addresses of one domain who can create a workspace per 24 hours. Large mail "
        "providers are not limited.",
    ),
    "NEW_PEOPLE_PER_NETWORK": Variable("20", "The same from one IPv4 address or IPv6 /48."),
    "MAX_UNPAID_USD": Variable(
        "50",
        "How much usage beyond the included tokens a workspace can leave unpaid until it pays its first "
        "invoice, in $. Operators can set another amount for a workspace.",
    ),
    "ENGINE_CENTS_PER_HOUR": Variable(
        "0", "What one engine (each replica) costs you per hour, in US cents, for the console's Margins page."
    ),
    "HTTP_MAX_CONNECTIONS": Variable(
        "4096",
        "Maximum open connections per process of the gateway's server. Above that, clients get 503.",
    ),
    "HTTP_MAX_CONNECTIONS_PER_ADDRESS": Variable(
        "1024",
        "Maximum open connections per process from one client address. Trusted proxies are not limited.",
    ),
    "WEBHOOKS_TO_LOOPBACK": Variable(
        "0",
        "1 allows webhooks to this machine, also over plain http. For the demo and tests; ignored if "
        "SITE_URL is https.",
    ),
    "CACHE_SALT_SECRET": Variable(None, "Isolates the workspaces' prefix caches in the engine. Hex."),
    "RESPONSES_STORE": Variable(
        "off",
        "on: workspaces may have their responses and conversations stored for some days, in PostgreSQL, for "
        "OpenAI's Responses API. Each decides for itself, and stores nothing until then.",
    ),
    "RESPONSES_MAX_MIB": Variable("256", "How much a workspace may store of them, in MiB."),
    "WATERMARK": Variable(
        "on",
        "Watermark generated text. required: always, and engines that can't are not used. on: unless a "
        "workspace or an API key turns it off. off: never.",
    ),
    "STYLE_TEMPERATURE": Variable(
        "0.8",
        "The temperature of requests to a style that send none, from 0.1 to 2, unless its owner set another.",
    ),
    "STYLE_TOP_P": Variable("0.95", "The same for `top_p`, from 0.1 to 1."),
    "BASE_TEMPERATURE": Variable(
        "0.7", "The temperature of requests to the base model that send none, from 0.1 to 2."
    ),
    "BASE_TOP_P": Variable("0.95", "The same for `top_p`, from 0.1 to 1."),
    "WATERMARK_KEYS": Variable(
        "",
        "The engines' watermark keys by epoch, `1:HEX,2:HEX`, 16 hex digits each. The detector looks for "
        "all of them. Empty: there is no watermark.",
    ),
    "RECEIPT_KEYS": Variable(
        "",
        "Ed25519 keys that sign receipts, `1:HEX,2:HEX`, 64 hex digits each. The highest one signs, all of "
        "them verify. Empty: there are no receipts.",
    ),
    "WATERMARK_KEY": Variable("", "The epoch that engines mark with. Empty: the highest one."),
    "ENGINE_NAME": Variable("local", "The engine's name; its worker serves the queue engine.NAME."),
    "ENGINE_KIND": Variable("vllm", "vllm, or ray: a Ray Serve LLM cluster, which pulls adapters from S3."),
    "ENGINE_REPLICAS": Variable("1", "Replicas of a Ray cluster, each with the limits below."),
    "ENGINE_URL": Variable("http://127.0.0.1:8001", "The engine's URL. Private network only."),
    "ENGINE_API_KEY": Variable("", "vLLM's VLLM_API_KEY."),
    "ENGINE_DEVICE": Variable("cpu", "cpu or cuda: what vLLM runs on."),
    "ENGINE_ADAPTERS_DIR": Variable("var/adapters", "Where the engine's worker caches adapters for vLLM."),
    "ENGINE_MAX_LORAS": Variable("8", "vLLM's --max-loras."),
    "ENGINE_MAX_CPU_LORAS": Variable("64", "vLLM's --max-cpu-loras."),
    "ENGINE_MAX_LORA_RANK": Variable(
        "16", "vLLM's --max-lora-rank. Uploads with a higher rank are rejected."
    ),
    "ENGINE_MAX_MODEL_LEN": Variable("2048", "vLLM's --max-model-len, in tokens."),
    "ENGINE_MAX_NUM_SEQS": Variable("128", "vLLM's --max-num-seqs: sequences that run at once."),
    "WEB_WORKERS": Variable(
        "1",
        "Web processes of this site, at most `ENGINE_MAX_LORAS - 1`. Each gets an equal share of the engine.",
    ),
    "BASE_MODEL": Variable("SmolLM2-135M-Instruct", "The base model's name; vLLM serves it under this."),
    "BASE_MODEL_DIR": Variable(
        "var/models/SmolLM2-135M-Instruct", "The base model's files: config, tokenizer, weights."
    ),
    "TRAINING": Variable(
        "on", "on, or off: no styles are trained from texts, and nothing on the site mentions it."
    ),
    "TRAINING_CHECKPOINT_S": Variable(
        "60", "Seconds between a training's checkpoints. A killed training repeats so much at most."
    ),
    "TRAINING_DEVICE": Variable("cpu", "cpu or cuda: what the training worker trains on."),
    "TRAINING_PYTHON": Variable(
        "", "The Python with torch and PEFT that trains. Empty: .venv-engine/bin/python."
    ),
    "TRAINING_QUANTISATION": Variable(
        "", "4-bit trains on a quantized base (QLoRA, CUDA only), for an engine that serves one. Empty: none."
    ),
    "TRAINING_THREADS": Variable("1", "Processor threads of a training on a CPU."),
    "TRAINING_WRITER_PARAMETERS": Variable(
        "3000000000",
        "Parameters from which the served base model writes requests for the examples; below, keywords do.",
    ),
    "UPLOAD_CHECK_S": Variable(
        "300",
        "Maximum seconds to validate one upload. After three attempts, the upload is rejected.",
    ),
    "EMAIL_URL": Variable(
        "",
        "SMTP server with STARTTLS, smtp://user:password@host:port; or file:///folder, where each mail "
        "becomes a file. Empty: mail goes to the log. Only pages and the worker of the queue `webhooks` "
        "need it.",
    ),
    "MAILBOX": Variable(
        "0", "1 shows the mail of EMAIL_URL=file:///… at /mailbox/, to this machine only. For the demo."
    ),
    "AUDIT_KEPT_DAYS": Variable(
        "1095", "Days to keep the audit log, at least 30. A checkpoint preserves its chain. 0: forever."
    ),
    "USAGE_EVENTS_KEPT_MONTHS": Variable(
        "24",
        "Whole months to keep the log of single requests, at least 3. An older month is deleted once its "
        "usage is on final invoices. The ledger, invoices and totals by day stay. 0: forever.",
    ),
    "INVOICE_ISSUER": Variable(
        "Polyscribe",
        "The issuer of invoices: name, address and tax id, with `|` between lines. Each invoice "
        "keeps the value at the time.",
    ),
    "SUPPORT_EMAIL": Variable(
        "",
        "Contact address for billing questions and problems. Shown in the footer, on error pages, and "
        "on pages, in emails and errors about billing. Empty: no contact is shown.",
    ),
    "PAYMENT_INSTRUCTIONS": Variable(
        "",
        "How to pay without a card, such as bank details, with `|` between lines. Shown on unpaid "
        "invoices and top-ups.",
    ),
    "STRIPE_SECRET_KEY": Variable(
        "", "Stripe secret or restricted key, `sk_…` or `rk_…`. Empty: bank transfers only."
    ),
    "STRIPE_WEBHOOK_SECRET": Variable(
        "", "Signing secret, `whsec_…`, of the endpoint SITE_URL/billing/stripe/ in Stripe's dashboard."
    ),
    "STRIPE_API_BASE": Variable("", "An alternative URL of Stripe's API, for tests. Empty: Stripe's own."),
    "OPERATOR_NAME": Variable(
        "",
        "The operator of this site, as named in its terms and privacy notice. Both pages are hidden "
        "while this, OPERATOR_ADDRESS or OPERATOR_EMAIL is empty.",
    ),
    "OPERATOR_ADDRESS": Variable("", "The operator's postal address, with `|` between lines."),
    "OPERATOR_EMAIL": Variable("", "The operator's email address for questions about terms and privacy."),
    "OPERATOR_LAW": Variable(
        "", "The country whose law applies to the terms. Empty: the country of the operator's address."
    ),
    "LOG_FORMAT": Variable(
        "text",
        "text: plain sentences, without a line for each successful request. json: one JSON object per "
        "line, including each request and each audited action.",
    ),
    "TRACES_ENDPOINT": Variable(
        "",
        "OTLP/HTTP endpoint for OpenTelemetry traces of requests, such as http://collector:4318. Empty: "
        "no traces.",
    ),
    "TRACES_RATIO": Variable("0.1", "Fraction of requests to trace, from 0 to 1."),
    "SECURITY_CONTACT": Variable(
        "", "Where to report vulnerabilities: email addresses or URLs. Empty: no /.well-known/security.txt."
    ),
    "HSTS_SUBDOMAINS": Variable(
        "0",
        "1 makes browsers use https for all subdomains of SITE_URL as well. Only if all of them support it.",
    ),
    "HSTS_PRELOAD": Variable("0", "1 allows browsers to preload the site as https-only."),
    "OPERATOR_MFA": Variable(
        "0",
        "1 requires operators to use a second factor for the console. Always required if SITE_URL is https.",
    ),
    "DRAINING_PATH": Variable(
        "",
        "While this file exists, `/healthz` and `/readyz` return 503, so that proxies send no new "
        "requests to a process about to stop. Empty: never.",
    ),
    "TRUSTED_PROXIES": Variable(
        "",
        "Addresses or networks of the proxies in front, separated by commas. X-Forwarded-For is trusted "
        "only from them. Empty: the connecting address is the client.",
    ),
}


def read(name: str) -> str:
    """Return one variable's value. Raises SystemExit naming it when it is required and missing."""
    variable = VARIABLES[name]
    value = _find(name)
    if value is None:
        raise SystemExit(f"{name} is not set. {variable.meaning} (`make demo` sets all of them.)")
    return value


def read_all() -> dict[str, str]:
    """Return name → value of every variable, without those that are required and missing."""
    values = {}
    for name in VARIABLES:
        value = _find(name)
        if value is not None:
            values[name] = value
    return values


def _find(name: str) -> str | None:
    """Return a variable's value, or what is in the file that NAME_FILE names, or its default.

    Raises SystemExit for a file that can't be read.
    """
    file = os.environ.get(f"{name}_FILE")
    if name in os.environ or not file:
        return os.environ.get(name, VARIABLES[name].default)
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise SystemExit(f"{name}_FILE: {file} can't be read: {error.strerror}.") from None


def read_flag(name: str) -> bool:
    """Return True when the variable is 1."""
    return read(name) == "1"


def read_int(name: str) -> int:
    """Return a variable as a number. Raises SystemExit for a text that is none."""
    value = read(name)
    try:
        return int(value)
    except ValueError:
        raise SystemExit(f"{name}: {value} is not a whole number. {VARIABLES[name].meaning}") from None


def read_choice(name: str, choices: Sequence[str]) -> str:
    """Return a variable that is one of a few words. Raises SystemExit for another one."""
    value = read(name)
    if value not in choices:
        raise SystemExit(f"{name}: {value} is not one of {', '.join(choices)}. {VARIABLES[name].meaning}")
    return value


def read_number(name: str, least: float, most: float) -> float:
    """Return a variable between two numbers. Raises SystemExit for another text."""
    value = read(name)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        meaning = VARIABLES[name].meaning
        raise SystemExit(f"{name}: {value} is not a number from {least:g} to {most:g}. {meaning}")
    return number


def read_list(name: str) -> list[str]:
    """Return a comma-separated variable as a list without empty items."""
    items = [item.strip() for item in read(name).split(",")]
    return list(filter(None, items))


def read_keys(name: str) -> dict[int, str]:
    """Return a variable's keys in hex by their numbers, `1:HEX,2:HEX`. Raises SystemExit for other text."""
    keys: dict[int, str] = {}
    for item in read_list(name):
        number, _, key = item.partition(":")
        is_new = number.isdecimal() and int(number) > 0 and int(number) not in keys
        if not (is_new and HEX.fullmatch(key)):
            raise SystemExit(
                f"{name} must be a list of NUMBER:HEX, separated by commas: each number once, none below 1."
            )
        keys[int(number)] = key
    return keys


def read_networks(name: str) -> list[str]:
    """Return a variable's addresses and networks.

    Raises SystemExit for other text, and for networks wider than the widest private ones.
    """
    networks = []
    for item in read_list(name):
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise SystemExit(f"{name}: {item} is not an address or network, such as 10.0.0.0/8.") from None
        if network.prefixlen < _shortest_prefix(network):
            raise SystemExit(
                f"{name}: {item} covers too much of the internet. Use the proxies' own networks."
            )
        networks.append(str(network))
    return networks


def _shortest_prefix(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    """Return the prefix of the widest private network of that kind: 10.0.0.0/8 or fc00::/7."""
    if network.version == 4:
        return 8
    if network.overlaps(IPV4_MAPPED):
        return 96 + 8
    return 7


def read_origins(name: str) -> frozenset[str]:
    """Return a variable's origins as browsers send them, or `*`. Raises SystemExit for another text."""
    origins = frozenset(read_list(name)) - {"none"}
    for origin in origins - {"*"}:
        found = ORIGIN.match(origin)
        if not found:
            raise SystemExit(f"{name}: {origin} is not an origin, such as https://app.example.com, or `*`.")
        wanted = found[0].lower().removesuffix(DEFAULT_PORTS.get(found[1].lower(), "/"))
        if origin != wanted:
            raise SystemExit(f"{name}: {origin} never matches what a browser sends. Use {wanted}.")
    return origins


def settings_page() -> str:
    """Return docs/settings.md: every variable, its default and what it means."""
    lines = [
        "# Settings",
        "",
        "`python -m config.env` writes this page, and a test compares it. `make demo` sets all variables. If",
        "`NAME` isn't set, `NAME_FILE` can name a file with the value, which is how containers get secrets.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, variable in VARIABLES.items():
        lines.append(f"| `{name}` | {_show_default(variable.default)} | {variable.meaning} |")
    return "\n".join(lines) + "\n"


def _show_default(default: str | None) -> str:
    if default is None:
        return "required"
    return f"`{default}`" if default else "empty"


if __name__ == "__main__":
    print(settings_page(), end="")
