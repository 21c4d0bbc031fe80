"""The paths of the gateway, and which methods each answers."""

from django.conf import settings

from inference.contract.endpoints import ENDPOINTS
from inference.errors import NoEmbeddings, NotAtGateway, UnknownPath

MODELS = "/v1/models"
MODELS_FOLDER = f"{MODELS}/"  # one path for each model
KEY = "/v1/key"
USAGE = "/v1/usage"
TOKENIZER_INFO = "/v1/tokenizer_info"
VERSION = "/version"
ALIVE = "/healthz"
READY = ("/readyz", "/health")
EMBEDDINGS = "/v1/embeddings"
RESPONSES = "/v1/responses"
INPUT_TOKENS = f"{RESPONSES}/input_tokens"
STORED_PATHS = (f"{RESPONSES}/resp_", "/v1/conversations")
TRAINING_PATHS = ("/v1/files", "/v1/fine_tuning")
SITE_PATHS = (*TRAINING_PATHS, *STORED_PATHS, "/v1/receipts", "/v1/content_provenance_checks")
MCP = "/mcp"
OPEN = (VERSION, ALIVE, *READY)  # without a key
READ_ONLY = (MODELS, KEY, USAGE, TOKENIZER_INFO, *OPEN)
POST = ("POST",)
GET = ("GET", "HEAD")  # the server drops the body of an answer to HEAD


GENERATIONS = {row.path: row.generation for row in ENDPOINTS if row.generation}
COUNTS = {row.path: row.token_count for row in ENDPOINTS if row.token_count}
TOKEN_TASKS = {row.path: row.parse_token_task for row in ENDPOINTS if row.parse_token_task}
# vLLM has these beside `/v1`, and its clients ask there.
BESIDE_V1 = {path.removeprefix("/v1"): path for path in (*TOKEN_TASKS, TOKENIZER_INFO)}
ROOT_PATHS = (*BESIDE_V1, VERSION, "/health")
METHODS = dict.fromkeys((*GENERATIONS, *COUNTS, *TOKEN_TASKS), POST) | dict.fromkeys(READ_ONLY, GET)


def name_endpoint(path: str) -> str:
    """Return the endpoint of a path for metrics and logs: one of a few words, whatever path a client sent."""
    if path in METHODS:
        return path
    endpoint = _without_model(path)
    return endpoint if endpoint in METHODS or endpoint == MCP else "other"


def allowed_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a path answers. Raises UnknownPath."""
    methods = METHODS.get(path) or METHODS.get(_without_model(path))
    if methods is None:
        raise _explain_unknown(path)
    return methods


def preflight_methods(path: str) -> tuple[str, ...]:
    """Return the methods that a page may use; at an unknown path all, so that it can read the 404."""
    return METHODS.get(_without_model(path), (*GET, *POST))


def is_site_path(path: str) -> bool:
    """Return whether Django answers a path of the API: it is about files, jobs, receipts or stored
    responses, which are rows, or it is a check, which reads a text."""
    return path.startswith(SITE_PATHS)


def _explain_unknown(path: str) -> UnknownPath:
    is_off = path.startswith(TRAINING_PATHS) and not settings.TRAINING
    is_off |= path.startswith(STORED_PATHS) and not settings.RESPONSES_STORE
    if (is_site_path(path) or path.startswith(MCP)) and not is_off:
        return NotAtGateway()
    return NoEmbeddings() if path == EMBEDDINGS else UnknownPath()


def _without_model(path: str) -> str:
    return MODELS if path.startswith(MODELS_FOLDER) else path
