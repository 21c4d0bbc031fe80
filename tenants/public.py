"""What other floors may use of this one."""

from tenants.access import MemberRequest, member_required
from tenants.audit import record as record_audit
from tenants.demand import Demand, recent_requests
from tenants.figures import EMPTY, Figures, figures
from tenants.gate import changed as gate_changed
from tenants.gate import find_owner
from tenants.gate import publish as gate_publish
from tenants.keys import digests, is_well_formed, issue, studio_key
from tenants.keys import opens as key_opens
from tenants.members import NoTenant, found_tenant, house, subscribe, tenant_of
from tenants.models import Tenant, User
from tenants.plans import Limits, limits_of
from tenants.plans import newest as newest_plan
from tenants.pricing import cost_nanousd
from tenants.usage import Event, Used, record, used

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
