"""Every change that a form or an operation of the API can make, with what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np
from django.apps import apps
from django.db.models import F
from django.utils import timezone

from accounts.subscriptions import subscribe_tenant
from adapters import object_store
from adapters.catalog import price_changes, sharing
from adapters.catalog.terms import Terms
from adapters.models import AdapterVersion, Evaluation, Release, Status, Style
from adapters.releases import votes
from adapters.verifier import Verifier
from adapters.verifier.features import BUCKETS
from billing.models import PaymentAccount
from core import months
from core.money import NANO
from drafts.models import Draft
from events.models import WebhookEndpoint
from events.webhooks import delivery
from keys import device_logins
from metering.models import Invoice, TokenPrices
from metering.plans import newest_plan_version
from operations.models import SampleData
from tenants.models import AuditEntry, Membership, Tenant, User
from tests.config.rows import Rows, read_rows
from tests.config.things import LOGGED_BEFORE, Arguments
from tests.tenants.builders import owner_of
from training import storage as training_storage
from training.models import Document, Training
from training.models import Status as TrainingStatus
from website import api_schema

LOGIN_CODE = "BCDF-GHJK"
NEXT_MONTH = (timezone.now() + timedelta(days=30)).date()
NEW_PRICE = {
    "input_nanousd": "0.6",
    "cached_input_nanousd": "0.15",
    "output_nanousd": "2.4",
    "author_percent": "25",
    "first_day": NEXT_MONTH.isoformat(),
}
NEW_PRICE_BODY = {
    "prices": {"input_nanousd": 600, "cached_input_nanousd": 150, "output_nanousd": 2400},
    "author_percent": 25,
    "first_day": NEXT_MONTH.isoformat(),
}


# What changes by itself, or with any change beside it.
VOLATILE = {
    "generation",
    "observed_generation",
    "changed_at",
    "checked_at",
    "next_attempt_at",
    "last_login",
    "last_used_at",
    "last_seen_at",
}
APPS = ("tenants", "events", "metering", "accounts", "keys", "adapters", "billing", "training", "drafts")
LOGS = {"AuditEntry", "OutboxEvent", "NoticeMail", "VersionStep", "CachedAnswer", "TrainingEvent"}


type Prepare = Callable[[Arguments], Mapping[str, Any] | int | None]


def nothing(of_acme: Arguments) -> None:
    """All is there already."""


def two_versions(of_acme: Arguments) -> Mapping[str, Any]:
    """Let version 1 be live and version 2 serve; the address names the second one."""
    style = Style.objects.get(pk=of_acme["style_id"])
    first = style.versions.get(number=1)
    second = style.versions.create(number=2)
    style.versions.update(status=Status.SERVING)
    style.releases.create(alias=Release.Alias.LIVE, after=first)
    Style.objects.filter(pk=style.pk).update(live_version=first)
    return {"version_id": second.pk, "number": 2}


def begun_round(of_acme: Arguments) -> Mapping[str, Any]:
    """Let Alice have two sides to vote on."""
    two_versions(of_acme)
    alice = User.objects.get(email="alice@example.org")
    begun = votes.begin_round(Tenant.objects.get(slug="acme"), alice, "acme/secret@1", "acme/secret@2")
    return {"round_id": begun.pk}


def three_releases(of_acme: Arguments) -> None:
    """Let version 3 be live, and versions 2 and 1 have been before."""
    two_versions(of_acme)
    style = Style.objects.get(pk=of_acme["style_id"])
    before = style.live_version
    for number in (2, 3):
        after, _ = style.versions.get_or_create(number=number, defaults={"status": Status.SERVING})
        style.releases.create(alias=Release.Alias.LIVE, before=before, after=after)
        before = after
    Style.objects.filter(pk=style.pk).update(live_version=before)


def canary(of_acme: Arguments) -> None:
    """Let version 2 be tried."""
    second = two_versions(of_acme)["version_id"]
    Style.objects.filter(pk=of_acme["style_id"]).update(canary_version=second, canary_percent=10)


def version_at(status: Status, **facts: Any) -> Prepare:
    """Let Acme's version have come so far."""
    return lambda of_acme: AdapterVersion.objects.filter(pk=of_acme["version_id"]).update(
        status=status, **facts
    )


serving = version_at(Status.SERVING)
failed = version_at(Status.FAILED)
convertible = version_at(Status.REJECTED, conversions=["r"], stored_bytes=1)


def stored(of_acme: Arguments) -> None:
    version_at(Status.SERVING, sha256="a" * 64, config_sha256="b" * 64)(of_acme)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        object_store.write(of_acme["version_id"], file, [b"{}"])


def with_terms(of_acme: Arguments) -> None:
    Style.objects.filter(pk=of_acme["style_id"]).update(author="Alice", licence="MIT")
    two_versions(of_acme)


def in_catalogue(of_acme: Arguments) -> None:
    with_terms(of_acme)
    sharing.set_public(Style.objects.get(pk=of_acme["style_id"]))


def price_asked(of_acme: Arguments) -> None:
    in_catalogue(of_acme)
    style = Style.objects.get(pk=of_acme["style_id"])
    price_changes.ask_price(owner_of(style.owner), style, Terms(TokenPrices(600, 150, 2400), 25), NEXT_MONTH)


def offered(of_acme: Arguments) -> None:
    with_terms(of_acme)
    style = Style.objects.get(pk=of_acme["style_id"])
    sharing.offer_style(owner_of(style.owner), style)


def others_style(of_acme: Arguments) -> Mapping[str, Any]:
    """Let another workspace share a style with Acme."""
    theirs = Tenant.objects.get(slug="charlies-prose")
    base_model = Style.objects.get(pk=of_acme["style_id"]).base_model
    style = Style.objects.create(owner=theirs, slug="tide", name="Tide", base_model=base_model)
    version = style.versions.create(number=1, status=Status.SERVING)
    Style.objects.filter(pk=style.pk).update(live_version=version)
    style.refresh_from_db()
    sharing.share_style(owner_of(style.owner, theirs.memberships.get().user), style, "acme")
    return {"style_id": style.pk, "style": f"{theirs.slug}/{style.slug}"}


def public_style(of_acme: Arguments) -> Mapping[str, Any]:
    """Let another workspace have a public style that answers."""
    arguments = others_style(of_acme)
    style = Style.objects.filter(pk=arguments["style_id"])
    style.update(is_public=True, approved_version=F("live_version"), approved_name="Tide")
    return arguments


def selected(of_acme: Arguments) -> Mapping[str, Any]:
    arguments = others_style(of_acme)
    style = Style.objects.get(pk=arguments["style_id"])
    Tenant.objects.get(slug="acme").selections.get_or_create(style=style)
    return arguments


def liked(of_acme: Arguments) -> None:
    alice = User.objects.get(email="alice@example.org")
    alice.favourites.create(style_id=of_acme["style_id"])


def no_workspace(of_acme: Arguments) -> None:
    Membership.objects.filter(user__email="alice@example.org").delete()


def review_of_keys(of_acme: Arguments) -> None:
    User.objects.filter(email="alice@example.org").update(review_keys_since="2026-01-01T00:00:00Z")


def login_begun(of_acme: Arguments) -> None:
    """Let a command line wait for a member."""
    with patch.object(device_logins, "new_user_code", return_value=LOGIN_CODE):
        device_logins.begin_login("CLI on laptop", ["inference"], address="")


def disabled(of_acme: Arguments) -> None:
    delivery.disable(WebhookEndpoint.objects.get(pk=of_acme["endpoint_id"]), "By a test.")


def owed(of_acme: Arguments) -> Mapping[str, Any]:
    """Let an invoice be unpaid."""
    acme = Tenant.objects.get(slug="acme")
    invoice = Invoice.objects.create(
        tenant=acme, period="2026-09", state="finalized", number=2, plan="Writer v1", total_nanousd=5 * NANO
    )
    return {"invoice_id": invoice.pk}


def cheaper_plan(of_acme: Arguments) -> None:
    """Let a downgrade be scheduled."""
    acme = Tenant.objects.get(slug="acme")
    subscribe_tenant(acme, newest_plan_version("writer"))
    subscribe_tenant(acme, newest_plan_version("free"), at=months.bounds(months.current())[1])


def sample_data(of_acme: Arguments) -> None:
    """Let Acme be the demo's sample workspace, to which nobody added a style."""
    SampleData.objects.create(tenant=Tenant.objects.get(slug="acme"), user_ids=[])
    Style.objects.filter(owner__slug="acme").update(retired_at=timezone.now())


def to_be_deleted(of_acme: Arguments) -> None:
    """Let an owner have asked for the deletion."""
    Tenant.objects.filter(slug="acme").update(deletion_at=timezone.now() + timedelta(days=1))


def saved_card(of_acme: Arguments) -> None:
    """Acme has paid by card, and is on a plan where credits pay for something."""
    acme = Tenant.objects.get(slug="acme")
    subscribe_tenant(acme, newest_plan_version("writer"))
    PaymentAccount.objects.create(tenant=acme, customer_id="cus_1", payment_method_id="pm_1")


def teammate(of_acme: Arguments) -> Mapping[str, Any]:
    user = User.objects.create_user("dora@example.org")
    member = Membership.objects.create(user=user, tenant=Tenant.objects.get(slug="acme"))
    return {"member_id": member.pk}


def second_owner(of_acme: Arguments) -> None:
    """Let Acme have another owner."""
    member_id = teammate(of_acme)["member_id"]
    Membership.objects.filter(pk=member_id).update(role=Membership.Role.OWNER)


def training_at(status: TrainingStatus, **facts: Any) -> Prepare:
    """Let Acme's training have come so far."""
    return lambda of_acme: Training.objects.filter(pk=of_acme["training_id"]).update(status=status, **facts)


training_ready = training_at(TrainingStatus.READY)
training_running = training_at(TrainingStatus.RUNNING)
training_paused = training_at(TrainingStatus.PAUSED)
training_cancelled = training_at(TrainingStatus.CANCELLED, ended_at=timezone.now())


def check_ready(of_acme: Arguments) -> None:
    """Let Acme's texts be ready to check its version."""
    serving(of_acme)
    training_at(TrainingStatus.READY, evaluated_version=of_acme["version_id"])(of_acme)


def document_arrived(of_acme: Arguments) -> None:
    """Let a document's file be in the storage, and nobody have said so."""
    document = Document.objects.get(pk=of_acme["document_id"])
    Document.objects.filter(pk=document.pk).update(status=Document.Status.UPLOADING)
    training_storage.write_posted(document, b"secret")


class SentFile:
    """A file that can be sent again and again."""

    name = "ferry.txt"
    content_type = "text/plain"

    def read(self) -> bytes:
        return b"The river rose."


def checked_draft(of_acme: Arguments) -> None:
    """Let a draft be in a style that has evidence, and be long enough to compare."""
    verifier = Verifier("en", np.zeros(BUCKETS, np.float16), 0.0)
    Evaluation.objects.filter(version=of_acme["version_id"]).update(verifier=verifier.to_bytes())
    Draft.objects.filter(pk=of_acme["draft_id"]).update(model="acme/secret", text="The river rose. " * 30)


@dataclass(frozen=True)
class Change:
    """What is sent to an address, and what it leaves behind.

    `audits` is the action in the log; where there is none, `unaudited` says why. `each_time` says why the
    same is done once more.
    """

    sent: Mapping[str, Any] = field(default_factory=dict)
    audits: str = ""
    prepare: Prepare = nothing
    unaudited: str = ""
    each_time: str = ""
    is_json: bool = False


FILES = [{"name": "adapter_config.json", "size": 700}, {"name": "adapter_model.safetensors", "size": 5000}]
SIZED_FILES = [{"name": one["name"], "size_bytes": one["size"]} for one in FILES]
TYPED = {"confirm": "secret", "at_once": "on"}  # another workspace has the style
OWN_SIGHT = "What a person keeps in sight is that person's own matter."
IN_VALKEY = "What it changes is in Valkey alone; test_logins.py decides a login twice."
OWN_MAIL = "What mail a member gets is that member's own matter."
IN_HISTORY = "The draft's history says what was before; typing would fill the log."
OWN_DRAFT = "Each is a draft of its own; one that is not started goes after 30 days."
OWN_UPLOAD = (
    "Each is an upload of its own, as two tabs begin them; one that is not finished goes after a day."
)
NEW_SECRET = "Each makes a secret, which is shown once; the page sends a form once (once.js)."
ASKED_AGAIN = "It is asked to be sent again, each time."
FORMS = {
    "hide_steps": Change(unaudited="Which steps a person wants to see is that person's own matter."),
    "try_styles": Change(audits="style.selected", prepare=public_style),
    "choose_style": Change({"prompt": "Describe the rain."}, "style.selected", prepare=public_style),
    "drafts:create": Change(audits="draft.created"),
    "drafts:import": Change(
        {"file": SentFile()},
        "draft.created",
        each_time="Each is a draft of its own.",
    ),
    "drafts:draft": Change({"title": "Ferry", "text": "Rain.", "revision": 1}, unaudited=IN_HISTORY),
    "drafts:save": Change(
        {"title": "Ferry", "text": "Rain.", "revision": 1}, unaudited=IN_HISTORY, is_json=True
    ),
    "drafts:check": Change(
        prepare=checked_draft,
        unaudited="It is a look at the text: nothing is kept.",
        each_time="It is another look.",
        is_json=True,
    ),
    "drafts:edit": Change({"is_shared": "on"}, "draft.shared"),
    "drafts:delete": Change(audits="draft.deleted"),
    "drafts:keep": Change(unaudited=IN_HISTORY),
    "drafts:restore": Change(unaudited=IN_HISTORY),
    "keys:issue_key": Change(
        {"name": "newsletter", "lifetime_days": "", "scopes": ["inference"]}, "api_key.created"
    ),
    "keys:limit_key": Change({"requests_per_minute": 5}, "api_key.edited"),
    "keys:rotate_key": Change({"old_secret_hours": "1"}, "api_key.rotated"),
    "keys:revoke_key": Change({"name": "laptop"}, "api_key.revoked"),
    "keys:keys_reviewed": Change(
        prepare=review_of_keys, unaudited="It takes a notice to one person away; no key changes."
    ),
    "keys:decide_login": Change(
        {"code": LOGIN_CODE, "decision": "approved", "scopes": ["inference"]},
        "login.approved",
        login_begun,
        each_time=IN_VALKEY,
    ),
    "events:webhooks": Change({"url": "https://example.org/hook"}, "webhook_endpoint.created"),
    "events:webhook": Change(
        {"url": "https://example.com/", "description": "Chat"}, "webhook_endpoint.edited"
    ),
    "events:rotate_webhook_secret": Change(audits="webhook_endpoint.secret_rotated", each_time=NEW_SECRET),
    "events:test_webhook": Change(audits="webhook_endpoint.tested", each_time=ASKED_AGAIN),
    "events:enable_webhook": Change(audits="webhook_endpoint.enabled", prepare=disabled),
    "events:disable_webhook": Change(audits="webhook_endpoint.disabled"),
    "events:delete_webhook": Change(audits="webhook_endpoint.deleted"),
    "events:redeliver_webhook": Change(audits="webhook_endpoint.redelivered", each_time=ASKED_AGAIN),
    "events:notices": Change({"kinds": []}, unaudited=OWN_MAIL),
    "billing:set_budget": Change({"budget": "5"}, "workspace.edited"),
    "billing:billing_details": Change({"name": "Acme Ltd", "tax_id": "GB1"}, "billing_details.edited"),
    "billing:top_up": Change(
        {"amount_nanousd": "25", "payment": "0b1c2d3e-4f50-4162-8738-495a6b7c8d9e"}, "payment.begun"
    ),
    "billing:pay_invoice": Change(audits="payment.begun", prepare=owed),
    "billing:auto_top_up": Change(
        {"threshold_nanousd": "5", "amount_nanousd": "25"}, "auto_top_up.edited", saved_card
    ),
    "billing:change_plan": Change({"plan": "writer"}, "plan.changed"),
    "billing:keep_plan": Change(audits="plan.kept", prepare=cheaper_plan),
    "website:create_workspace": Change({"workspace": "Fourth"}, "workspace.created", no_workspace),
    "website:switch_workspace": Change(
        {"workspace": "third"}, unaudited="It changes only which of their workspaces a person looks at."
    ),
    "accounts:invite": Change({"email": "dora@example.org", "role": "member"}, "invitation.created"),
    "accounts:resend_invitation": Change(audits="invitation.resent"),
    "accounts:withdraw_invitation": Change(audits="invitation.withdrawn"),
    "accounts:change_role": Change({"role": "owner"}, "member.edited", teammate),
    "accounts:remove_member": Change(audits="member.removed", prepare=teammate),
    "accounts:transfer_ownership": Change(audits="workspace.transferred", prepare=teammate),
    "accounts:leave_workspace": Change(audits="member.left", prepare=second_owner),
    "website:edit_workspace": Change({"name": "Acme Letters"}, "workspace.edited"),
    "website:limit_new_keys": Change({"monthly_tokens": "5"}, "workspace.edited"),
    "website:edit_profile": Change({"language": "de"}, "profile.edited"),
    "website:delete_workspace": Change({"confirm": "Acme"}, "workspace.deletion_requested"),
    "website:stop_deletion": Change(audits="workspace.deletion_stopped", prepare=to_be_deleted),
    "website:remove_sample_data": Change(audits="workspace.deleted", prepare=sample_data),
    "adapters:create_version": Change(
        {"slug": "secret", "name": "Secret", "files": FILES},
        "version.created",
        is_json=True,
        each_time=OWN_UPLOAD,
    ),
    "adapters:finish": Change(audits="upload.finished"),
    "adapters:cancel": Change(audits="upload.aborted"),
    "adapters:retry": Change(audits="version.retried", prepare=failed),
    "adapters:convert": Change(audits="version.converted", prepare=convertible),
    "adapters:retire": Change(TYPED, "version.retired", serving),
    "adapters:promote": Change(audits="version.promoted", prepare=two_versions),
    "adapters:begin_canary": Change({"percent": "10"}, "canary.begun", two_versions),
    "adapters:end_canary": Change(audits="canary.ended", prepare=canary),
    "adapters:roll_back": Change({"live": "3"}, "style.rolled_back", three_releases),
    "adapters:erase_version": Change(TYPED, "version.deleted", serving),
    "adapters:delete_style": Change(TYPED, "style.deleted", serving),
    "adapters:describe": Change({"name": "Open secret"}, "style.edited"),
    "adapters:offer": Change(audits="style.offered", prepare=with_terms),
    "adapters:ask_price": Change(NEW_PRICE, "style.price_asked", in_catalogue),
    "adapters:withdraw_price": Change(audits="style.price_withdrawn", prepare=price_asked),
    "adapters:share": Change({"workspace": "charlies-prose"}, "style.shared"),
    "adapters:change_share": Change(audits="style.share_revoked"),
    "adapters:leave": Change(audits="style.share_left", prepare=others_style),
    "adapters:like": Change(unaudited=OWN_SIGHT),
    "adapters:unlike": Change(prepare=liked, unaudited=OWN_SIGHT),
    "adapters:select": Change(audits="style.selected", prepare=others_style),
    "adapters:unselect": Change(audits="style.unselected", prepare=selected),
    "training:new": Change({"name": "My voice"}, "training.created", each_time=OWN_DRAFT),
    "training:new_evaluation": Change(audits="evaluation.created", prepare=serving, each_time=OWN_DRAFT),
    "training:evaluate": Change(audits="evaluation.requested", prepare=check_ready),
    "training:rename": Change({"name": "My voice", "slug": "my-voice"}, "training.renamed"),
    "training:delete": Change(audits="training.deleted"),
    "training:add_texts": Change(
        {"text": "The river rose."}, "training.documents_added", each_time="Each is a text of its own."
    ),
    "training:add_sample": Change(
        audits="training.documents_added", each_time="Duplicates are found and left out."
    ),
    "training:announce_documents": Change(
        {"files": [{"name": "one.txt", "size": 9}]},
        "training.documents_added",
        is_json=True,
        each_time="Each is a file of its own.",
    ),
    "training:finish_documents": Change(
        prepare=document_arrived,
        is_json=True,
        unaudited="That they were added is logged; this says that their files have arrived.",
    ),
    "training:leave_out_document": Change({"is_left_out": "on"}, "training.document_left_out"),
    "training:delete_document": Change(audits="training.document_deleted"),
    "training:prepare": Change(unaudited="It is a look at the texts: nothing is paid, sent or kept by it."),
    "training:leave_out_passages": Change({"passage": ["one"]}, "training.passages_left_out", training_ready),
    "training:start": Change({"rights": "on"}, "training.started", training_ready),
    "training:pause": Change(audits="training.paused", prepare=training_running),
    "training:resume": Change(audits="training.resumed", prepare=training_paused),
    "training:cancel": Change(audits="training.cancelled", prepare=training_running),
    "training:delete_texts": Change(audits="training.documents_deleted", prepare=training_cancelled),
    "inference:begin_round": Change(
        {"first": "acme/secret@1", "second": "acme/secret@2"},
        prepare=two_versions,
        unaudited="A round is two sides: the vote on it is logged, and without one it goes after a day.",
        each_time="Each is a round of its own.",
        is_json=True,
    ),
    "inference:cast_vote": Change({"choice": "left"}, "vote.cast", begun_round, is_json=True),
    "adapters:compare": Change({"prompts": "Describe the rain."}, "style.prompts_set"),
}


# By operation: what programs send. The log is the same as for a page; Idempotency-Key does the rest.
OPERATIONS = {
    "drafts.create": Change({"title": "Ferry", "text": "Rain."}, "draft.created"),
    "drafts.edit": Change({"is_shared": True}, "draft.shared"),
    "drafts.delete": Change(audits="draft.deleted"),
    "drafts.check": Change(prepare=checked_draft, unaudited="It is a look at the text."),
    "drafts.snapshots.create": Change(unaudited=IN_HISTORY),
    "drafts.snapshots.restore": Change(unaudited=IN_HISTORY),
    "billing.edit_details": Change({"name": "Acme Ltd", "tax_id": "GB1"}, "billing_details.edited"),
    "billing.top_up": Change({"amount_nanousd": 25 * NANO}, "payment.begun"),
    "billing.set_auto_top_up": Change(
        {"threshold_nanousd": 5 * NANO, "amount_nanousd": 25 * NANO}, "auto_top_up.edited", saved_card
    ),
    "invoices.pay": Change(audits="payment.begun", prepare=owed),
    "billing.change_plan": Change({"plan": "writer"}, "plan.changed"),
    "billing.keep_plan": Change(audits="plan.kept", prepare=cheaper_plan),
    "keys.create": Change({"name": "newsletter", "expires_at": None}, "api_key.created"),
    "keys.edit": Change({"limits": {"requests_per_minute": 5}}, "api_key.edited"),
    "keys.revoke": Change(audits="api_key.revoked"),
    "keys.rotate": Change({"old_secret_hours": 1}, "api_key.rotated"),
    "members.edit": Change({"role": "owner"}, "member.edited", teammate),
    "members.remove": Change(audits="member.removed", prepare=teammate),
    "invitations.create": Change({"email": "dora@example.org"}, "invitation.created"),
    "invitations.resend": Change(audits="invitation.resent"),
    "invitations.withdraw": Change(audits="invitation.withdrawn"),
    "workspace.delete": Change({"confirm": "acme"}, "workspace.deletion_requested"),
    "workspace.stop_deletion": Change(audits="workspace.deletion_stopped", prepare=to_be_deleted),
    "styles.create": Change({"slug": "tide", "name": "Tide"}, "style.created"),
    "styles.edit": Change({"description": "Rain."}, "style.edited"),
    "styles.delete": Change({"at_once": True}, "style.deleted", serving),
    "releases.set_canary": Change({"version": 2, "percent": 10}, "canary.begun", two_versions),
    "releases.end_canary": Change(audits="canary.ended", prepare=canary),
    "styles.offer": Change(audits="style.offered", prepare=with_terms),
    "styles.withdraw": Change(audits="style.offer_withdrawn", prepare=offered),
    "styles.ask_price": Change(NEW_PRICE_BODY, "style.price_asked", in_catalogue),
    "styles.withdraw_price": Change(audits="style.price_withdrawn", prepare=price_asked),
    "releases.rollback": Change(audits="style.rolled_back", prepare=three_releases),
    "styles.select": Change(audits="style.selected", prepare=others_style),
    "styles.unselect": Change(audits="style.unselected", prepare=selected),
    "shares.create": Change({"workspace": "charlies-prose"}, "style.shared"),
    "shares.revoke": Change(audits="style.share_revoked"),
    "versions.create": Change({"files": SIZED_FILES}, "version.created"),
    "versions.delete": Change({"at_once": True}, "version.deleted", serving),
    "versions.autofix": Change(audits="version.converted", prepare=convertible),
    "versions.download": Change(audits="version.downloaded", prepare=stored),
    "versions.promote": Change(audits="version.promoted", prepare=two_versions),
    "versions.retire": Change({"at_once": True}, "version.retired", serving),
    "versions.retry": Change(audits="version.retried", prepare=failed),
    "uploads.cancel": Change(audits="upload.aborted"),
    "uploads.finish": Change(audits="upload.finished"),
    "trainings.create": Change({"slug": "my-voice", "name": "My voice"}, "training.created"),
    "trainings.create_evaluation": Change({"style": "secret", "version": 1}, "evaluation.created", serving),
    "trainings.evaluate": Change(audits="evaluation.requested", prepare=check_ready),
    "trainings.delete": Change(audits="training.deleted"),
    "trainings.documents.create": Change(
        {"files": [{"name": "one.txt", "size_bytes": 9}]}, "training.documents_added"
    ),
    "trainings.documents.add_text": Change(
        {"name": "one.txt", "text": "The river rose."}, "training.documents_added"
    ),
    "trainings.documents.finish": Change(
        prepare=document_arrived, unaudited="That they were added is logged."
    ),
    "trainings.estimate": Change(unaudited="It is a look at the texts."),
    "trainings.documents.edit": Change({"is_left_out": True}, "training.document_left_out"),
    "trainings.documents.delete": Change(audits="training.document_deleted"),
    "trainings.start": Change({"rights": True}, "training.started", training_ready),
    "trainings.pause": Change(audits="training.paused", prepare=training_running),
    "trainings.resume": Change(audits="training.resumed", prepare=training_paused),
    "trainings.cancel": Change(audits="training.cancelled", prepare=training_running),
    "webhooks.create": Change({"url": "https://example.org/hook"}, "webhook_endpoint.created"),
    "webhooks.edit": Change({"description": "Chat"}, "webhook_endpoint.edited"),
    "webhooks.delete": Change(audits="webhook_endpoint.deleted"),
    "webhooks.redeliver": Change(audits="webhook_endpoint.redelivered"),
    "webhooks.disable": Change(audits="webhook_endpoint.disabled"),
    "webhooks.enable": Change(audits="webhook_endpoint.enabled", prepare=disabled),
    "webhooks.rotate": Change(audits="webhook_endpoint.secret_rotated"),
    "webhooks.test": Change(audits="webhook_endpoint.tested"),
    "workspace.edit": Change({"monthly_nanousd": 5_000_000_000}, "workspace.edited"),
}


def state() -> Rows:
    """Return what the product's tables hold, without logs and what changes by itself."""
    models = [model for app in APPS for model in apps.get_app_config(app).get_models()]
    return read_rows([model for model in models if model.__name__ not in LOGS], without=VOLATILE)


def prepared(change: Change, of_acme: Arguments) -> Arguments:
    """Lay what a change needs; return the arguments that name what it is about."""
    with patch("tenants.access.record_audit"):  # the log has what the change itself does
        others = change.prepare(of_acme)
    return {**of_acme, **others} if isinstance(others, Mapping) else of_acme


def logged() -> list[str]:
    """Return the actions that were logged since Acme's things were laid."""
    return list(
        AuditEntry.objects.exclude(action=LOGGED_BEFORE).order_by("pk").values_list("action", flat=True)
    )


@cache
def operations() -> dict[str, tuple[str, str]]:
    """Return the method and the path of each operation of the management API that is no question."""
    found = {}
    for path, methods in api_schema.document()["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/api/v1/") and method not in ("get", "parameters"):
                found[operation["operationId"]] = (method, path)
    return found
