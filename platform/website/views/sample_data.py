"""Remove the demo's sample data, as Home offers it to the workspace's owner."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from core.errors import Conflict
from operations.sample_data.removal import NoSampleData, remove_sample_data
from tenants.public import MemberRequest, Permission, access_of, member_required, requires


@require_POST
@member_required
@requires(Permission.DELETE_WORKSPACE)
def remove_sample(request: MemberRequest) -> HttpResponse:
    """Remove the sample workspace that is open. Raises Http404 in any other workspace."""
    try:
        remove_sample_data(access_of(request))
    except NoSampleData as error:
        raise Http404(error.message) from error
    except Conflict as error:
        messages.error(request, error.message)
    else:
        messages.success(request, gettext("The sample data was removed."))
    return redirect("member_home")
