"""The errors of the data plane. `contract/http_errors.py` has the HTTP status of each."""

from core.errors import Conflict, DomainError, Invalid, NotAllowed, NotFound, Unavailable

__all__ = ["Conflict", "DomainError", "Invalid", "NotAllowed", "NotFound", "Unavailable"]


class BadRequest(Invalid):
    """The request body is not valid."""


class TooLarge(Invalid):
    """The request body is larger than {limit_bytes} bytes; send less text."""


class ContextTooLong(Invalid):
    """The prompt and the requested answer do not fit the model's context of {max_model_len} tokens."""

    code = "context_length_exceeded"


class EngineRefusal(BadRequest):
    """The model server refuses this request: one of its fields, or several together, are not valid. The API's
    documentation lists what each field takes."""


class RefusedGrammar(BadRequest):
    """The model server can't follow the schema, the pattern or the tools of this request. Simplify them; the
    same request would be refused again."""


class UnservableInput(BadRequest):
    """The model server can't work with this request: its schema, grammar, tools or tool calls are not
    supported, too large or nested too deeply. Simplify them; the same request would fail again."""


class FailingRequest(UnservableInput):
    """The model server failed at this request and would fail at it again, though it serves others. Nothing
    was billed but what was sent; change the request."""


class GrammarFailed(Invalid):
    """The model server could not follow the form that this request gives the answer."""


class GrammarTooExpensive(GrammarFailed):
    """The answer's schema, pattern, choices or tools took more processor time than one request may use, so it
    was ended; what was written until then is billed. Use fewer or shorter repetitions, lengths, alternatives
    and optional parts. The same request would end again."""

    code = "grammar_too_expensive"


class InvalidGrammar(GrammarFailed):
    """No answer can follow this request's schema, pattern, choices or tools: they are not valid, or nothing
    matches them. What was written until then is billed. Change them; the same request would fail again."""

    code = "invalid_grammar"


class SuspectRequest(Invalid):
    """The model server stopped while it had this same request, which may be the cause. So the request is
    refused for {wait_s} s more. Change it, or send it again after that."""

    code = "request_suspected"


class TooManySequences(Invalid):
    """This request is {sequences} sequences (prompts times `n`); the plan of this workspace allows {allowed}.
    Send fewer prompts or a smaller `n`."""

    code = "too_many_sequences"


class RequestFailed(DomainError):
    """The model server failed at this request and would fail again, so it is not retried. Nothing was billed
    but what was sent; change the request."""

    code = "request_failed"


class UnknownEncoding(Invalid):
    """The body's `Content-Encoding: {encoding}` is not supported. Send it as gzip, or uncompressed."""

    code = "unsupported_content_encoding"


class UnknownPath(NotFound):
    """There is no such endpoint. The endpoints are GET /v1/models, /v1/key, /v1/usage, /v1/tokenizer_info and
    /version, and POST /v1/chat/completions, /v1/completions, /v1/responses, /v1/responses/input_tokens,
    /v1/messages, /v1/messages/count_tokens, /v1/tokenize and /v1/detokenize."""

    code = "unknown_url"


class UnknownAddress(UnknownPath):
    """There is nothing at this address. Programs write text at {site}/v1 and manage styles, keys and usage at
    {site}/api/v1; {site}/docs/api/ lists all their addresses."""


class NoEmbeddings(UnknownPath):
    """Styles write text and compute no vectors, so ask a service with an embedding model for them, and send
    the texts that it finds as a message."""


class NoTokenizer(NotFound):
    """The base model's tokenizer is not on this server, so it can't split texts into tokens."""

    code = "no_tokenizer"


class WrongMethod(DomainError):
    """This endpoint answers {allowed}, not {method}."""

    code = "method_not_allowed"


class ForeignOrigin(NotAllowed):
    """Pages of {origin} may not call this API from a browser. Its operator lists those that may in
    API_ALLOWED_ORIGINS."""

    code = "origin_not_allowed"


class UnknownKey(NotAllowed):
    """The API key is missing, malformed, expired or revoked. Create one on the page "API keys"."""

    code = "invalid_api_key"


class ExpiredKey(UnknownKey):
    """The API key has expired. Create a new one on the page "API keys"."""


class RevokedKey(UnknownKey):
    """The API key was revoked. Create a new one on the page "API keys"."""


class InsufficientScope(NotAllowed):
    """This API key lacks the scope `inference`, so it can't write text. Make a key with it on the page
    "API keys"."""

    code = "insufficient_scope"


class Suspended(NotAllowed):
    """This workspace is suspended; please write to support."""

    code = "workspace_suspended"
    names_support = True


class UnknownModel(NotFound):
    """The model `{model}` does not exist or you have no access to it. GET /v1/models lists yours; public
    styles are selected in the catalogue first."""

    code = "model_not_found"


class Limited(DomainError):
    """A limit is reached."""

    code = "rate_limit_exceeded"


class RateLimited(Limited):
    """Rate limit reached for {limit} of this {scope}: {allowed} allowed, {left} left. Try again in
    {retry_s} s."""


class TooManyRefusals(Limited):
    """Too many requests were refused within a minute. All are refused for the next {retry_s} s; correct what
    the earlier errors say."""


class TooMuchAtOnce(Limited):
    """The requests of this workspace that are in flight are too large together. Wait for some answers, or
    send less text in each."""


class TooLargeForLimit(Limited):
    """This request may need {needed} tokens, more than the {allowed} tokens a minute of this {scope}. Send a
    shorter prompt or ask for fewer tokens."""


class TooManyAtOnce(Limited):
    """This request is {sequences} sequences (prompts times `n`), more than the {allowed} in parallel of this
    {scope}. Send fewer prompts or a smaller `n`."""


class InFlightFull(Limited):
    """Requests in flight hold the rest of this {scope}'s {limit} ({left} of {allowed} is not spent yet; this
    one may need {needed}). Try again shortly."""


class QuotaExhausted(Limited):
    """The {limit} of this {scope} ({allowed}) does not allow this request: {left} is left and it may need
    {needed}. It resets on {resets_on}; a higher limit counts at once."""

    code = "insufficient_quota"
    names_support = True


class FreePlanExhausted(QuotaExhausted):
    """All free workspaces of one person share {allowed} tokens a month: {left} is left and this request may
    need {needed}. They reset on {resets_on}; a paid plan counts at once."""


class CreditsExhausted(QuotaExhausted):
    """The tokens that the plan includes are used. Beyond them this request may cost {needed} of credits, and
    {left} of credits is left. Top up on the studio's page "Credits" or choose a larger plan: both count at
    once. The included tokens begin anew on {resets_on}."""


class KeyInUse(Conflict):
    """A request with this Idempotency-Key is still running. Try again shortly: you will get its answer."""

    code = "idempotency_key_in_use"


class KeyUsedOtherwise(Conflict):
    """This Idempotency-Key was used for another request. Use a new key for each request."""

    code = "idempotency_key_reused"


class StyleLoading(Unavailable):
    """The style `{model}` is still being loaded. Nothing was billed; try again shortly."""

    code = "server_is_overloaded"


class EngineUnavailable(Unavailable):
    """The model server does not answer at the moment. Nothing was billed; try again shortly."""

    code = "server_is_overloaded"


class EngineRefuses(EngineUnavailable):
    """The model server takes no requests at the moment. Nothing was billed; try again shortly."""


class EngineBroke(EngineUnavailable):
    """The model server closed the connection. Nothing is billed but what it had sent; try again shortly."""


class EngineSilent(EngineBroke):
    """The model server sent nothing for minutes. Nothing is billed but what it had sent."""


class EngineDied(EngineBroke):
    """The model server stopped while it had this request, which may be the cause. So the request is not
    retried, and the same request is refused for {minutes} minutes. Nothing is billed but what was sent."""

    code = "engine_stopped"


class AdapterAbsent(EngineUnavailable):
    """The style is being loaded again. Nothing was billed; try again shortly."""


class LimitsUnavailable(Unavailable):
    """The service can't check limits at the moment, so it refuses all requests. Try again shortly."""

    code = "server_is_overloaded"


class EngineBusy(Unavailable):
    """The model server is busy and its queue is full. Nothing was billed; try again shortly."""

    code = "server_is_overloaded"
