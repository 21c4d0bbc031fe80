"""What other floors may use of this one. What needs REST framework is in `rest`."""

from adapters.catalog.choices import name_default_style, register_answering_style, register_style_choices
from billing.forms import MILLION, PriceField
from billing.reconciliation import (
    Amount,
    Disagreement,
    compare_credits,
    compare_earnings,
    compare_invoices,
    compare_usage,
    has_earnings_to_compare,
)
from billing.report import latest_requests, monthly_report
from billing.turnover import used_nanousd
from tenants.accounts.access import Access, MemberRequest, access_of, access_of_person, member_required
from tenants.accounts.current import current_membership
from tenants.accounts.deleted_workspaces import STAYS as KEPT_OF_WORKSPACE
from tenants.accounts.deleted_workspaces import find_deleted_workspace, list_to_erase, mark_erased
from tenants.accounts.export import list_tables as export_tables
from tenants.accounts.first_steps import Beginnings, beginnings_of, hide_steps
from tenants.accounts.founding import register_founding
from tenants.accounts.looking import end_look, read_look
from tenants.accounts.roles import Permission, require_role, requires
from tenants.accounts.workspaces import (
    NoTenant,
    create_tenant,
    default_tenant,
    first_party_tenant,
    subscribe_tenant,
)
from tenants.api.usage_report import report_usage_of_key
from tenants.api_keys.key_format import digest_by_peppers, is_well_formed
from tenants.api_keys.lifecycle import issue_key, peppers_in_use, playground_key, verify_key
from tenants.audit import record_audit, record_command
from tenants.events.outbox import record_event, register_presenter
from tenants.metering.archive_store import ArchiveStore, register_archive_store
from tenants.metering.demand import Demand, recent_requests
from tenants.metering.figures import EMPTY, VersionFigures, version_figures
from tenants.metering.holdings import Holdings, register_holdings
from tenants.metering.hosting import Hosted, note_hosted
from tenants.metering.ledger import Event, record_events, usage_of
from tenants.metering.partitions import list_partitioned_months, make_partition
from tenants.metering.plans import Limits, limits_of, newest_plan_version
from tenants.metering.pools import free_tokens_used
from tenants.metering.price_book import (
    Entry,
    Schedule,
    announced_entry,
    base_schedule,
    dollars_a_million,
    find_price,
    prices_now,
    schedules_of,
)
from tenants.metering.price_book import amounts as price_amounts
from tenants.metering.pricing import cost_nanousd, payable_nanousd
from tenants.metering.refusals import RefusedLately
from tenants.metering.request_log import Refusal, record_refusals
from tenants.metering.style_source import StyleFacts, StyleSource, register_style_source
from tenants.metering.style_usage import StyleUsage, style_usage
from tenants.models import (
    ApiKey,
    AuditEntry,
    EventType,
    FailedTask,
    NoticeMail,
    Scope,
    ServiceSample,
    Tenant,
    User,
    WebhookDelivery,
)
from tenants.quota_sync.editions import lock_editions, price_style
from tenants.quota_sync.generations import (
    bump_all_generations,
    bump_generations,
    observe_generation,
    stale_generations,
)
from tenants.quota_sync.snapshot import find_owner, is_published, publish_snapshot

__all__ = [
    "EMPTY",
    "KEPT_OF_WORKSPACE",
    "MILLION",
    "Access",
    "Amount",
    "ApiKey",
    "ArchiveStore",
    "AuditEntry",
    "Beginnings",
    "Demand",
    "Disagreement",
    "Entry",
    "Event",
    "EventType",
    "FailedTask",
    "Holdings",
    "Hosted",
    "Limits",
    "MemberRequest",
    "NoTenant",
    "NoticeMail",
    "Permission",
    "PriceField",
    "Refusal",
    "RefusedLately",
    "Schedule",
    "Scope",
    "ServiceSample",
    "StyleFacts",
    "StyleSource",
    "StyleUsage",
    "Tenant",
    "User",
    "VersionFigures",
    "WebhookDelivery",
    "access_of",
    "access_of_person",
    "announced_entry",
    "base_schedule",
    "beginnings_of",
    "bump_all_generations",
    "bump_generations",
    "compare_credits",
    "compare_earnings",
    "compare_invoices",
    "compare_usage",
    "cost_nanousd",
    "create_tenant",
    "current_membership",
    "default_tenant",
    "digest_by_peppers",
    "dollars_a_million",
    "end_look",
    "export_tables",
    "find_deleted_workspace",
    "find_owner",
    "find_price",
    "first_party_tenant",
    "free_tokens_used",
    "has_earnings_to_compare",
    "hide_steps",
    "is_published",
    "is_well_formed",
    "issue_key",
    "latest_requests",
    "limits_of",
    "list_partitioned_months",
    "list_to_erase",
    "lock_editions",
    "make_partition",
    "mark_erased",
    "member_required",
    "monthly_report",
    "name_default_style",
    "newest_plan_version",
    "note_hosted",
    "observe_generation",
    "payable_nanousd",
    "peppers_in_use",
    "playground_key",
    "price_amounts",
    "price_style",
    "prices_now",
    "publish_snapshot",
    "read_look",
    "recent_requests",
    "record_audit",
    "record_command",
    "record_event",
    "record_events",
    "record_refusals",
    "register_answering_style",
    "register_archive_store",
    "register_founding",
    "register_holdings",
    "register_presenter",
    "register_style_choices",
    "register_style_source",
    "report_usage_of_key",
    "require_role",
    "requires",
    "schedules_of",
    "stale_generations",
    "style_usage",
    "subscribe_tenant",
    "usage_of",
    "used_nanousd",
    "verify_key",
    "version_figures",
]
