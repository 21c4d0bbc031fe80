"""What other floors may use of this one."""

from tenants.accounts.access import MemberRequest, member_required
from tenants.accounts.workspaces import NoTenant, found_tenant, house, subscribe, tenant_of
from tenants.api_keys.lifecycle import digests, is_well_formed, issue, studio_key
from tenants.api_keys.lifecycle import opens as key_opens
from tenants.audit import record as record_audit
from tenants.billing.demand import Demand, recent_requests
from tenants.billing.figures import EMPTY, Figures, figures
from tenants.billing.ledger import Event, Used, record, used
from tenants.billing.plans import Limits, limits_of
from tenants.billing.plans import newest as newest_plan
from tenants.billing.pricing import cost_nanousd
from tenants.models import Tenant, User
from tenants.quota_sync.snapshot import changed as gate_changed
from tenants.quota_sync.snapshot import find_owner
from tenants.quota_sync.snapshot import publish as gate_publish

__all__ = [
    "EMPTY",
    "Demand",
    "Event",
    "Figures",
    "Limits",
    "MemberRequest",
    "NoTenant",
    "Tenant",
    "Used",
    "User",
    "cost_nanousd",
    "digests",
    "figures",
    "find_owner",
    "found_tenant",
    "gate_changed",
    "gate_publish",
    "house",
    "is_well_formed",
    "issue",
    "key_opens",
    "limits_of",
    "member_required",
    "newest_plan",
    "recent_requests",
    "record",
    "record_audit",
    "studio_key",
    "subscribe",
    "tenant_of",
    "used",
]
