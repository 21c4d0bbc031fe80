"""What the apps above may use of this one, beside its apps and tasks."""

from inference.contract import http_errors
from inference.contract.dialects import anthropic_messages
from inference.contract.openapi import ERROR_NAME as ERROR_COMPONENT
from inference.contract.openapi import data_plane_paths, data_plane_schemas
from inference.contract.tokenizer import count_conversation_tokens, encode_text, refuses_chat
from inference.contract.usage import digest_text
from inference.contract.watermark import DIGITAL_SOURCE_TYPE, epoch_of, is_marked, lacks_key
from inference.errors import (
    BadRequest,
    FieldError,
    UnknownAddress,
    UnknownKey,
    UnknownPath,
    WrongMethod,
)
from inference.exports import DOCX, DocumentTooLong, write_typed_docx
from inference.metrics import ALL as ALL_METRICS
from inference.metrics import FIRST_BYTE, REFUSALS, REQUESTS, SUM, TOKENS, Histogram, prune_totals, read_total
from inference.openai_views.base import answer_page
from inference.quota import ledger_drain
from inference.quota.ledger_drain import drain_usage, prune_consumers, read_backlog
from inference.responses.store import prune_responses
from inference.responses.store import prune_workspace as erase_responses

__all__ = [
    "ALL_METRICS",
    "DIGITAL_SOURCE_TYPE",
    "DOCX",
    "ERROR_COMPONENT",
    "FIRST_BYTE",
    "REFUSALS",
    "REQUESTS",
    "SUM",
    "TOKENS",
    "BadRequest",
    "DocumentTooLong",
    "FieldError",
    "Histogram",
    "UnknownAddress",
    "UnknownKey",
    "UnknownPath",
    "WrongMethod",
    "answer_page",
    "anthropic_messages",
    "count_conversation_tokens",
    "data_plane_paths",
    "data_plane_schemas",
    "digest_text",
    "drain_usage",
    "encode_text",
    "epoch_of",
    "erase_responses",
    "http_errors",
    "is_marked",
    "lacks_key",
    "ledger_drain",
    "prune_consumers",
    "prune_responses",
    "prune_totals",
    "read_backlog",
    "read_total",
    "refuses_chat",
    "write_typed_docx",
]
