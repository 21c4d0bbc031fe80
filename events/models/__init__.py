from events.models.events import EventType, OutboxEvent, ReachedThreshold, WebhookDelivery, WebhookEndpoint
from events.models.notices import NoticeKind, NoticeMail

__all__ = [
    "EventType",
    "NoticeKind",
    "NoticeMail",
    "OutboxEvent",
    "ReachedThreshold",
    "WebhookDelivery",
    "WebhookEndpoint",
]
