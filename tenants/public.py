"""What other apps may use of this one, beside its rows (`models`) and `metering`. REST is in `rest`."""

from tenants.accounts import subscriptions, workspaces
from tenants.accounts.access import Access, MemberRequest, access_of, access_of_person, member_required
from tenants.accounts.action_view import action_view
from tenants.accounts.current import current_membership
from tenants.accounts.deleted_workspaces import STAYS as KEPT_OF_WORKSPACE
from tenants.accounts.deleted_workspaces import find_deleted_workspace, list_to_erase, mark_erased
from tenants.accounts.export import Table as ExportTable
from tenants.accounts.export import list_tables as export_tables
from tenants.accounts.export import make_table as make_export_table
from tenants.accounts.free_plan import require_for_owners as require_free_plan
from tenants.accounts.impersonation import end_impersonation, read_impersonation
from tenants.accounts.onboarding import Onboarding, hide_steps, onboarding_of
from tenants.accounts.roles import Permission, require_role, requires
from tenants.accounts.subscriptions import (
    cancel_scheduled,
    record_plan_change,
    scheduled_change,
    subscribe_tenant,
)
from tenants.accounts.workspaces import (
    NoTenant,
    create_tenant,
    first_party_tenant,
    playground_key,
)
from tenants.api.usage_report import report_usage_of_key
from tenants.api_keys.actions import create_key, digest_by_peppers, is_well_formed, peppers_in_use, verify_key
from tenants.audit import record_audit, record_command
from tenants.audit.pruning import prune_log as prune_audit_log
from tenants.events.outbox import record_event, register_presenter
from tenants.quota_sync import snapshot, training_holds
from tenants.quota_sync.generations import (
    bump_all_generations,
    bump_generations,
    observe_generation,
    overtake_generation,
    stale_generations,
)
from tenants.quota_sync.snapshot import find_owner, is_published, prune_snapshots, publish_snapshot

__all__ = [
    "KEPT_OF_WORKSPACE",
    "Access",
    "ExportTable",
    "MemberRequest",
    "NoTenant",
    "Onboarding",
    "Permission",
    "access_of",
    "access_of_person",
    "action_view",
    "bump_all_generations",
    "bump_generations",
    "cancel_scheduled",
    "create_key",
    "create_tenant",
    "current_membership",
    "digest_by_peppers",
    "end_impersonation",
    "export_tables",
    "find_deleted_workspace",
    "find_owner",
    "first_party_tenant",
    "hide_steps",
    "is_published",
    "is_well_formed",
    "list_to_erase",
    "make_export_table",
    "mark_erased",
    "member_required",
    "observe_generation",
    "onboarding_of",
    "overtake_generation",
    "peppers_in_use",
    "playground_key",
    "prune_audit_log",
    "prune_snapshots",
    "publish_snapshot",
    "read_impersonation",
    "record_audit",
    "record_command",
    "record_event",
    "record_plan_change",
    "register_presenter",
    "report_usage_of_key",
    "require_free_plan",
    "require_role",
    "requires",
    "scheduled_change",
    "snapshot",
    "stale_generations",
    "subscribe_tenant",
    "subscriptions",
    "training_holds",
    "verify_key",
    "workspaces",
]
