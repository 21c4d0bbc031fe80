"""Remove the demo's sample data, as Home offers it to the workspace's owner."""

from django.http import Http404
from django.utils.translation import gettext

from operations.sample_data.removal import NoSampleData, remove_sample_data
from tenants.access import MemberRequest, access_of
from tenants.action_view import action_view
from tenants.roles import Permission


@action_view(Permission.DELETE_WORKSPACE, to="member_home")
def remove_sample(request: MemberRequest) -> str:
    """Remove the sample workspace that is open. Raises Http404 in any other workspace."""
    try:
        remove_sample_data(access_of(request))
    except NoSampleData as error:
        raise Http404(error.message) from error
    return gettext("The sample data was removed.")
