from tenants.models.audit import AuditCheckpoint, AuditEntry
from tenants.models.credits import CreditBurn, CreditGrant
from tenants.models.earnings import AuthorEarning
from tenants.models.events import (
    EventType,
    OutboxEvent,
    ReachedThreshold,
    WebhookDelivery,
    WebhookEndpoint,
)
from tenants.models.hosting import HostedStyle
from tenants.models.idempotency import CachedAnswer
from tenants.models.invitations import Invitation
from tenants.models.invoices import Invoice, InvoiceLine, InvoiceNumber
from tenants.models.jobs import FailedTask
from tenants.models.keys import ApiKey, Scope, default_scopes
from tenants.models.ledger import LedgerEntry, UsageDaily, UsageEvent, UsageMinute
from tenants.models.notices import NoticeKind, NoticeMail
from tenants.models.people import RESPONSE_DAYS, Membership, Tenant, User
from tenants.models.persons import FormerMember, Founding
from tenants.models.plans import Plan, PlanVersion, Price, PriceBook, Subscription
from tenants.models.refusals import RefusedRequest
from tenants.models.responses import Conversation, ConversationItem, StoredBytes, StoredResponse
from tenants.models.samples import ServiceSample
from tenants.models.trainings import TrainingHold

__all__ = [
    "RESPONSE_DAYS",
    "ApiKey",
    "AuditCheckpoint",
    "AuditEntry",
    "AuthorEarning",
    "CachedAnswer",
    "Conversation",
    "ConversationItem",
    "CreditBurn",
    "CreditGrant",
    "EventType",
    "FailedTask",
    "FormerMember",
    "Founding",
    "HostedStyle",
    "Invitation",
    "Invoice",
    "InvoiceLine",
    "InvoiceNumber",
    "LedgerEntry",
    "Membership",
    "NoticeKind",
    "NoticeMail",
    "OutboxEvent",
    "Plan",
    "PlanVersion",
    "Price",
    "PriceBook",
    "ReachedThreshold",
    "RefusedRequest",
    "Scope",
    "ServiceSample",
    "StoredBytes",
    "StoredResponse",
    "Subscription",
    "Tenant",
    "TrainingHold",
    "UsageDaily",
    "UsageEvent",
    "UsageMinute",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "default_scopes",
]
