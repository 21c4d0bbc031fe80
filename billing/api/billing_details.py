"""Whom invoices are made out to."""

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import present
from billing.invoices import details
from billing.models import BillingDetails
from billing.models.billing_details import MAX_ADDRESS
from core.names import validate_name, validate_text
from core.rest.bodies import StrictSerializer, TextField
from tenants.models import Scope, Tenant
from tenants.public import Permission
from tenants.rest import WorkspaceView, operation

DETAILS_EXAMPLE = {
    "object": "billing_details",
    "name": "Acme Letters Ltd",
    "address": "1 High Street\nLondon\nUnited Kingdom",
    "tax_id": "GB123456789",
    "reference": "PO 4711",
}


class DetailsObject(serializers.Serializer[BillingDetails]):
    """The details shown on future invoices."""

    object = serializers.CharField(default="billing_details", read_only=True)
    name = serializers.CharField(allow_blank=True, help_text="If empty, the workspace's name is used.")
    address = serializers.CharField(allow_blank=True)
    tax_id = serializers.CharField(allow_blank=True)
    reference = serializers.CharField(allow_blank=True)


class DetailsBody(StrictSerializer):
    """The fields that can be updated."""

    name = TextField(max_length=100, validators=[validate_name], allow_blank=True, required=False)
    address = TextField(max_length=MAX_ADDRESS, validators=[validate_text], allow_blank=True, required=False)
    tax_id = TextField(max_length=40, validators=[validate_name], allow_blank=True, required=False)
    reference = TextField(max_length=60, validators=[validate_name], allow_blank=True, required=False)


class BillingDetailsView(WorkspaceView):
    """The billing details."""

    @operation(
        "billing.details",
        "Get the billing details",
        scope=Scope.BILLING_READ,
        answer=DetailsObject,
        example=DETAILS_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        """Return the billing details."""
        return self.answer_object(present(DetailsObject, details.details_of(self.access.tenant)))

    @operation(
        "billing.edit_details",
        "Update the billing details",
        scope=Scope.ADMIN,
        needs=Permission.MANAGE_BILLING,
        body=DetailsBody,
        answer=DetailsObject,
        is_edit=True,
        example=DETAILS_EXAMPLE,
        body_example={"tax_id": "GB123456789"},
    )
    @transaction.atomic
    def patch(self, request: Request) -> Response:
        """Update the fields in the body, starting with the next invoice. Requires an owner or a key with
        `admin`."""
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=self.access.tenant.pk)
        self.require_match(present(DetailsObject, details.details_of(tenant)))
        saved = details.set_details(self.read_body(DetailsBody), by=self.access)
        return self.answer_object(present(DetailsObject, saved))
