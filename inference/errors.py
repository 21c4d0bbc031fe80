"""The errors of the data plane. `contract/http_errors.py` has the HTTP status of each.

`facts` are what a sentence says. What the layers above do with an error are attributes: the field that is
wrong, what is left of the limits, how near the adapter was, whether the engine's answer was complete.
"""

from django.utils.functional import Promise

from core.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, Unavailable
from inference.facts import AdapterTier, Rates

__all__ = ["Conflict", "DomainError", "Invalid", "NotAllowed", "NotFound", "Unavailable"]


class FieldError:
    """Beside a DomainError: the error is about one field of the request."""

    param: str | None = None  # the field's name in the client's dialect

    def __init__(
        self, message: str | Promise | None = None, *, param: str | None = None, **facts: object
    ) -> None:
        if param is not None:
            self.param = param
        super().__init__(message, **facts)  # type: ignore[call-arg]


class EngineFailure:
    """Beside a DomainError: a request failed at an engine."""

    def __init__(
        self, message: str | Promise | None = None, *, is_complete: bool = False, **facts: object
    ) -> None:
        self.is_complete = is_complete  # the engine answered to the end, although with a failure
        super().__init__(message, **facts)  # type: ignore[call-arg]


class BadRequest(FieldError, Invalid):
    """The request body is invalid."""

    code = "invalid"


class TooLarge(Invalid):
    """The request body is larger than {limit_bytes} bytes. Send less text."""

    code = "invalid"


class ContextTooLong(FieldError, Invalid):
    """The prompt and the requested output exceed the model's context length of {max_model_len} tokens."""

    code = "context_length_exceeded"


class EngineRefusal(BadRequest):
    """The model server rejected this request: a field, or a combination of fields, is invalid. See the API
    documentation for the values each field accepts."""

    code = "invalid"


class RefusedGrammar(BadRequest):
    """The model server doesn't support the schema, pattern or tools of this request. Simplify them; retrying
    the same request won't help."""

    code = "invalid"


class UnservableInput(EngineFailure, BadRequest):
    """The model server can't process this request: its schema, grammar, tools or tool calls are unsupported,
    too large or nested too deeply. Simplify them; retrying the same request won't help."""

    code = "invalid"


class FailingRequest(UnservableInput):
    """The model server failed on this request, while other requests succeed. You were billed only for the
    output you received. Change the request; retrying it won't help."""

    code = "invalid"


class GrammarFailed(Invalid):
    """The model server couldn't produce the output format that this request specifies."""

    code = "invalid"


class GrammarTooExpensive(GrammarFailed):
    """We stopped this request because its schema, pattern, choices or tools used more processor time than a
    request is allowed. Output generated until then is billed. Use fewer or shorter repetitions, lengths,
    alternatives and optional parts; retrying the same request won't help."""


class InvalidGrammar(GrammarFailed):
    """No output can match this request's schema, pattern, choices or tools: they are invalid, or nothing
    matches them. Output generated until then is billed. Change them; retrying the same request won't help."""


class SuspectRequest(Invalid):
    """The model server crashed while processing this same request, which may be the cause. We reject it for
    another {wait_s} s. Change it, or retry after that."""

    code = "request_suspected"


class TooManySequences(FieldError, Invalid):
    """This request has {sequences} sequences (prompts times `n`), but your plan allows {allowed}. Send fewer
    prompts or a smaller `n`."""


class WatermarkRequired(BadRequest):
    """`watermarking` must not be false: this workspace watermarks its answers. Use an API key for which the
    watermark is turned off, or have an admin turn it off in the workspace's settings."""

    code = "invalid"

    param = "watermarking"


class RequestFailed(EngineFailure, DomainError):
    """The model server failed on this request, and we don't retry it because it would fail again. You were
    billed only for the output you received. Change the request."""


class NothingStored(FieldError, Invalid):
    """This workspace doesn't store responses. An owner or admin can turn that on in the workspace's settings,
    under "Stored responses". Until then, send the whole conversation in `input`."""

    code = "responses_not_stored"


class PreviousNotFound(FieldError, Invalid):
    """Previous response with id '{id}' not found. It may be deleted, or older than the workspace keeps
    responses. Send the whole conversation in `input`."""

    code = "previous_response_not_found"
    param = "previous_response_id"


class NoSuchResponse(FieldError, NotFound):
    """Response with id '{id}' not found."""

    code = "response_not_found"


class NoSuchConversation(FieldError, NotFound):
    """Conversation with id '{id}' not found."""

    code = "conversation_not_found"


class NoSuchItem(FieldError, NotFound):
    """Item with id '{id}' not found in this conversation."""

    code = "item_not_found"


class ConversationFull(Invalid):
    """A conversation can have at most {limit_bytes} bytes. Delete items, or begin a new one."""


class UnknownEncoding(Invalid):
    """`Content-Encoding: {encoding}` is not supported. Send the body as gzip, or uncompressed."""

    code = "unsupported_content_encoding"


class UnknownMediaType(Invalid):
    """`Content-Type: {media_type}` is not supported. Send JSON, with `Content-Type: application/json`."""

    code = "unsupported_media_type"


class UnknownPath(NotFound):
    """No such endpoint. There are POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages,
    /v1/responses/input_tokens, /v1/messages/count_tokens, /v1/tokenize, /v1/detokenize,
    /v1/content_provenance_checks and /mcp; GET /v1/models, /v1/key, /v1/usage, /v1/tokenizer_info,
    /v1/receipts, /version and /health; and, where the service offers them, /v1/files, /v1/conversations and
    /v1/fine_tuning/jobs."""

    code = "unknown_url"


class UnknownAddress(UnknownPath):
    """No such endpoint. Generate text at {site}/v1; manage styles, keys and usage at {site}/api/v1. See
    {site}/docs/api/ for all endpoints."""

    code = "unknown_url"


class NotAtGateway(UnknownPath):
    """This server only generates text. The site serves files, fine-tuning jobs, receipts, checks, stored
    responses and MCP: have your proxy send it /v1/files, /v1/fine_tuning, /v1/receipts,
    /v1/content_provenance_checks, /v1/conversations, /v1/responses/resp_* and /mcp."""

    code = "unknown_url"


class NoEmbeddings(UnknownPath):
    """Embeddings are not available, because styles only generate text: use a service with an embedding model,
    and send the texts it finds in a message."""

    code = "unknown_url"


class NoTokenizer(NotFound):
    """The tokenizer is unavailable: the base model's tokenizer is not installed on this server."""


class WrongMethod(DomainError):
    """This endpoint accepts {allowed}, not {method}."""

    code = "method_not_allowed"


class ForeignOrigin(NotAllowed):
    """Pages on {origin} are not allowed to call this API from a browser. The operator of this site can add
    the origin to API_ALLOWED_ORIGINS."""

    code = "origin_not_allowed"


class UnknownKey(NotAllowed):
    """The API key is missing, malformed, expired or revoked. Create a key under API keys."""

    code = "invalid_api_key"


class ExpiredKey(UnknownKey):
    """The API key has expired. Create a new key under API keys."""

    code = "invalid_api_key"


class RevokedKey(UnknownKey):
    """The API key was revoked. Create a new key under API keys."""

    code = "invalid_api_key"


class InsufficientScope(NotAllowed):
    """This API key lacks the scope `inference`, which generating text requires. Create a key with this
    scope under API keys."""


class Suspended(NotAllowed):
    """This workspace is suspended. The operators of this site can say why."""

    code = "workspace_suspended"
    names_support = True


class UnknownModel(FieldError, NotFound):
    """The model `{model}` does not exist or you do not have access to it. See GET /v1/models for your models.
    Select a public style in the catalogue before you use it."""

    code = "model_not_found"


class Limited(DomainError):
    """Limit reached."""

    code = "rate_limit_exceeded"
    was_counted = False  # the prompt's tokens were counted, which is work

    def __init__(
        self,
        message: str | Promise | None = None,
        *,
        limit_type: str = "",
        rates: Rates | None = None,
        **facts: object,
    ) -> None:
        self.limit_type = limit_type  # OpenAI's, where it is not that of the class
        self.rates = rates
        super().__init__(message, **facts)


class RateLimited(Limited):
    """Rate limit reached for {limit} of this {scope}: {allowed} allowed, {left} left. Try again in
    {retry_s} s."""

    code = "rate_limit_exceeded"


class TooManyRefusals(Limited):
    """Too many failed requests (4xx) in the last minute. All requests are refused for the next {retry_s} s.
    Fix the errors in the earlier responses before you retry."""

    code = "rate_limit_exceeded"


class TooMuchAtOnce(Limited):
    """This workspace's requests in flight are too large in total. Wait for some to complete, or send less
    text per request."""

    code = "rate_limit_exceeded"


class TooLargeForLimit(Limited):
    """This request may need {needed} tokens, but this {scope} is limited to {allowed} tokens per minute.
    Shorten the prompt or request fewer tokens."""

    code = "rate_limit_exceeded"


class TooManyAtOnce(Limited):
    """This request has {sequences} sequences (prompts times `n`), but this {scope} is limited to {allowed} at
    a time. Send fewer prompts or a smaller `n`."""

    code = "rate_limit_exceeded"


class InFlightFull(Limited):
    """Requests in flight have reserved what is left of this {scope}'s {limit} ({left} of {allowed} is not
    spent yet; this request may need {needed}). Try again shortly."""

    code = "rate_limit_exceeded"


class QuotaExhausted(Limited):
    """Not enough {limit} left for this {scope} ({left} of {allowed}): this request may need {needed}.
    The limit resets on {resets_on}. A higher limit takes effect immediately."""

    code = "insufficient_quota"
    names_support = True


class CreditsExhausted(QuotaExhausted):
    """You have used all tokens included in your plan. This request may cost {needed} in credits, but you have
    {left} left. Add credits on the Credits page, or choose a larger plan; both take effect immediately. Your
    included tokens reset on {resets_on}."""

    code = "insufficient_quota"


class UnpaidLimitReached(QuotaExhausted):
    """You have used all tokens included in your plan. Until you pay your first invoice, usage beyond them is
    limited: this request may cost {needed}, and {left} is left. Add credits on the Credits page, which takes
    effect immediately. Your included tokens reset on {resets_on}."""

    code = "insufficient_quota"


class StorageFull(Limited):
    """This workspace's stored responses and conversations have reached {most} MiB. Delete some, or choose a
    shorter retention in the workspace's settings. Outside of a conversation, you can send `store: false`."""

    code = "response_storage_full"


class KeyInUse(Conflict):
    """A request with this Idempotency-Key is still in progress. Try again shortly to get its response."""

    code = "idempotency_key_in_use"


class KeyUsedOtherwise(Conflict):
    """This Idempotency-Key was already used for a different request. Use a new key for each request."""

    code = "idempotency_key_reused"


class ConversationLocked(FieldError, Conflict):
    """Another request is writing to this conversation. Try again in a few seconds."""

    param = "conversation"


class NoWatermark(Unavailable):
    """This service only returns watermarked text, and the model server has no watermark key. Nothing was
    billed. Try again later; operators can find the cause with `manage.py doctor`."""


class Overloaded(Unavailable):
    """Part of the service is unavailable. Try again shortly."""

    code = "server_is_overloaded"

    def __init__(
        self, message: str | Promise | None = None, *, tier: AdapterTier | None = None, **facts: object
    ) -> None:
        self.tier = tier  # how near the adapter was, as far as that is known
        super().__init__(message, **facts)


class StyleLoading(Overloaded):
    """The style `{model}` is still loading. Nothing was billed. Try again shortly."""

    code = "server_is_overloaded"


class EngineUnavailable(EngineFailure, Overloaded):
    """The model server isn't responding. Nothing was billed. Try again shortly."""

    code = "server_is_overloaded"


class EngineRefuses(EngineUnavailable):
    """The model server isn't accepting requests at the moment. Nothing was billed. Try again shortly."""

    code = "server_is_overloaded"


class EngineBroke(EngineUnavailable):
    """The model server closed the connection. You're billed only for the output you received. Try again
    shortly."""

    code = "server_is_overloaded"


class EngineSilent(EngineBroke):
    """The model server timed out. You're billed only for the output you received."""

    code = "server_is_overloaded"


class EngineDied(EngineBroke):
    """The model server crashed while processing this request, which may be the cause. We don't retry it, and
    we reject the same request for {minutes} minutes. You're billed only for the output you received."""

    code = "engine_stopped"


class AdapterAbsent(EngineUnavailable):
    """The style is being reloaded. Nothing was billed. Try again shortly."""

    code = "server_is_overloaded"


class LimitsUnavailable(Overloaded):
    """We can't check limits at the moment, so all requests are refused. Try again shortly."""

    code = "server_is_overloaded"


class StoreUnavailable(Overloaded):
    """We can't store responses at the moment. Nothing was billed. Try again shortly, or send `store: false`
    with the whole conversation in `input`."""

    code = "server_is_overloaded"


class EngineBusy(Overloaded):
    """The model server is busy and its queue is full. Nothing was billed. Try again shortly."""

    code = "server_is_overloaded"

    def __init__(
        self, *, tier: AdapterTier | None = None, is_senders_doing: bool = False, **facts: object
    ) -> None:
        self.is_senders_doing = is_senders_doing  # so it counts as a refusal, although it is a 503
        super().__init__(None, tier=tier, **facts)
