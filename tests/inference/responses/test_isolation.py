"""No workspace reads another one's rows, whatever id it tries, and nobody reads what is over."""

import random
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import openai
import pytest
from django.utils import timezone

from accounts import workspaces
from core.errors import DomainError
from inference.models import Conversation, StoredBytes, StoredResponse
from inference.responses import store
from inference.responses.store import Turn, read_items
from tenants.access import Access
from tenants.models import Membership, Tenant
from tests.inference.responses.builders import ask
from tests.profiles import examples

TRIES = examples(10_000)
OVER_HTTP = examples(200)


def store_response(tenant: Tenant, said: str, previous: StoredResponse | None = None) -> StoredResponse:
    turn = Turn(tenant.pk, uuid4(), read_items(said), is_stored=True, previous=previous)
    response_id = uuid4()
    output = [
        {"id": f"msg_{response_id.hex}_0", "type": "message", "role": "assistant", "status": "completed"}
    ]
    output[0]["content"] = [{"type": "output_text", "text": said, "annotations": []}]
    store.save_turn(turn, {"id": f"resp_{response_id.hex}", "model": "poetry", "output": output})
    return StoredResponse.objects.get(pk=response_id)


class Rows:
    """Rows of three workspaces: what each may read, and what nobody may."""

    def __init__(self, tenants: list[Tenant], chance: random.Random) -> None:
        self.owners: dict[str, Tenant] = {}
        self.over: set[str] = set()
        for tenant in tenants:
            Tenant.objects.filter(pk=tenant.pk).update(responses_kept_days=7)
            previous = None
            for number in range(12):
                previous = store_response(tenant, f"{tenant.slug} {number}", chance.choice([None, previous]))
                items = read_items(f"{tenant.slug} {number}")
                conversation = store.create_conversation(tenant.pk, items, {})
                self.owners |= {str(previous): tenant, str(conversation): tenant}
        old = timezone.now() - timedelta(days=7, seconds=1)
        for name, tenant in chance.sample(sorted(self.owners.items()), 24):
            row = find(tenant, name)
            if chance.random() < 0.5:
                type(row).objects.filter(pk=row.pk).update(
                    **{"created_at" if isinstance(row, StoredResponse) else "changed_at": old}
                )
            elif isinstance(row, StoredResponse):
                store.delete_response(row)
            else:
                store.delete_conversation(row)
            self.over.add(name)

    def may_read(self, tenant: Tenant, name: str) -> bool:
        return self.owners.get(name) == tenant and name not in self.over


def find(tenant: Tenant, name: str) -> StoredResponse | Conversation:
    is_response = name.startswith(store.RESPONSE)
    return (store.find_response if is_response else store.find_conversation)(tenant.pk, name)


def texts_of(tenant: Tenant, name: str) -> list[str]:
    if name.startswith(store.RESPONSE):
        _, items = store.load_previous(tenant.pk, name)
    else:
        _, items = store.load_conversation(tenant.pk, name)
    return [str(item["content"]) for item in items]


def change(name: str, chance: random.Random) -> str:
    """Return an id that somebody may try in the place of one that exists."""
    prefix, digits = name[:5], name[5:]
    at = chance.randrange(32)
    return chance.choice(
        [
            f"{prefix}{uuid4().hex}",
            f"{prefix}{digits[:at]}{chance.choice('0123456789abcdef')}{digits[at + 1 :]}",
            f"{prefix}{digits.upper()}",
            f"{prefix}{digits}\0",
            f"{chance.choice(['resp_', 'conv_', 'msg_'])}{digits}",
            digits,
        ]
    )


@pytest.mark.django_db
def test_thousands_of_tries_read_nothing_of_another_workspace(acme, charlies, bob, settings):
    chance = random.Random(7)
    third = Tenant.objects.create(name="Third", slug="third")
    tenants = [acme, charlies, third]
    rows = Rows(tenants, chance)
    names = sorted(rows.owners)
    seen: Counter[str] = Counter()
    for _ in range(TRIES):
        tenant = chance.choice(tenants)
        name = chance.choice(names)
        if chance.random() < 0.2:
            name = change(name, chance)
        try:
            texts = texts_of(tenant, name)
        except DomainError:
            # A response may be there whose ancestor is over.
            is_lost = rows.may_read(tenant, name) and bool(getattr(find(tenant, name), "ancestors", None))
            assert is_lost or not rows.may_read(tenant, name)
            seen["refused"] += 1
            continue
        assert rows.may_read(tenant, name)
        assert texts
        assert all(tenant.slug in text for text in texts)
        assert not any(other.slug in text for other in tenants if other != tenant for text in texts)
        seen["read"] += 1
    assert min(seen["read"], seen["refused"]) > TRIES / 10


def test_many_tries_over_http_read_nothing_of_another_workspace(site, acme, charlies, acme_client, stranger):
    chance = random.Random(11)
    rows = Rows([acme, charlies], chance)
    site.keep(acme, 7)
    site.keep(charlies, 7)
    tenants = {acme_client: acme, stranger: charlies}
    names = sorted(rows.owners)
    seen: Counter[int] = Counter()
    for _ in range(OVER_HTTP):
        client = chance.choice(list(tenants))
        name = chance.choice(names)
        ways = [client.responses.retrieve, client.responses.input_items.list]
        if name.startswith(store.CONVERSATION):
            ways = [client.conversations.retrieve, client.conversations.items.list]
        try:
            answer = chance.choice(ways)(name)
        except openai.NotFoundError:
            assert not rows.may_read(tenants[client], name)
            seen[404] += 1
        else:
            assert rows.may_read(tenants[client], name)
            others = {tenant.slug for tenant in tenants.values()} - {tenants[client].slug}
            assert not any(f"{slug} " in answer.to_json() for slug in others)
            seen[200] += 1
    assert min(seen[200], seen[404]) > OVER_HTTP / 10
    site.engine.received.clear()
    for name in [name for name, owner in rows.owners.items() if owner == acme]:
        is_response = name.startswith(store.RESPONSE)
        with pytest.raises(openai.APIStatusError) as info:
            ask(stranger, **({"previous_response_id": name} if is_response else {"conversation": name}))
        assert info.value.status_code == (400 if is_response else 404)
    for name, delete in [("resp_", stranger.responses.delete), ("conv_", stranger.conversations.delete)]:
        theirs = [known for known in names if known.startswith(name) and rows.may_read(acme, known)]
        for known in theirs:
            with pytest.raises(openai.NotFoundError):
                delete(known)
            assert find(acme, known)
    assert site.engine.received == []


@pytest.mark.django_db
def test_what_is_over_is_pruned_and_no_more(acme, charlies):
    rows = Rows([acme, charlies], random.Random(3))
    store.prune_responses()
    left = {str(row) for table in (StoredResponse, Conversation) for row in table.objects.all()}
    assert left == rows.owners.keys() - rows.over
    assert store.prune_responses() == 0
    Tenant.objects.filter(pk=acme.pk).update(responses_kept_days=None)
    with pytest.raises(DomainError):
        find(acme, next(name for name in left if rows.owners[name] == acme))
    store.prune_responses()
    assert not StoredResponse.objects.filter(tenant=acme).exists()
    assert StoredBytes.objects.values_list("tenant", flat=True).get() == charlies.pk
    counted = sum(StoredResponse.objects.values_list("size_bytes", flat=True))
    counted += sum(
        size + store.ROW_BYTES for size in Conversation.objects.values_list("size_bytes", flat=True)
    )
    assert StoredBytes.objects.get().used_bytes == counted


@pytest.fixture
def keep_days(acme, alice):
    """Changes the retention as the page and the API do."""
    by = Access(acme, alice, role=Membership.Role.OWNER)

    def change(days: int | None) -> None:
        workspaces.edit_workspace(by, {"responses_kept_days": days})

    return change


@pytest.mark.django_db
@pytest.mark.parametrize("between", [None, 1])
def test_what_a_change_of_the_retention_ended_never_comes_back(acme, keep_days, between):
    keep_days(30)
    response = store_response(acme, "acme")
    conversation = store.create_conversation(acme.pk, read_items("acme"), {})
    old = timezone.now() - timedelta(days=2)
    StoredResponse.objects.filter(pk=response.pk).update(created_at=old)
    Conversation.objects.filter(pk=conversation.pk).update(changed_at=old)
    Tenant.objects.filter(pk=acme.pk).update(responses_kept_since=None)  # the days were set before that
    acme.refresh_from_db()
    assert texts_of(acme, str(response))
    assert texts_of(acme, str(conversation))
    keep_days(between)
    keep_days(30)  # before anything was swept
    for name in (str(response), str(conversation)):
        with pytest.raises(DomainError):
            find(acme, name)
    with pytest.raises(DomainError):
        store.append_items(conversation, read_items("a turn that began before"))
    newer = store_response(acme, "acme")
    assert find(acme, str(newer))
    assert store.prune_workspace(acme) == 2
    assert find(acme, str(newer))


@pytest.mark.django_db
def test_days_that_end_nothing_leave_all_as_it_is(acme, keep_days):
    keep_days(1)
    response = store_response(acme, "acme")
    for days in (30, 7, 1, 7):
        keep_days(days)
        assert find(acme, str(response))


@pytest.mark.django_db
def test_a_deleted_workspaces_rows_go_at_once(acme):
    Tenant.objects.filter(pk=acme.pk).update(responses_kept_days=30, deleted_at=timezone.now())
    response = store_response(acme, "acme")
    with pytest.raises(DomainError):
        find(acme, str(response))
    acme.refresh_from_db()
    assert store.prune_workspace(acme) == 1
    assert not StoredBytes.objects.exists()
