"""Sign-up, login, reset and a new address, as a browser does them."""

import re
from datetime import timedelta
from functools import partial
from time import sleep

import pytest
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.contrib.auth.hashers import get_hasher
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import adapter
from accounts.adapter import StrengthValidator
from core import valkey as names
from operations.retention import delete_old
from tenants.models import Invitation, Tenant, User
from tests.racing import race
from tests.tenants.builders import issue_key
from tests.waiting import PATIENCE_S

PASSWORD = "a long winding road"
PLACES = [
    "keys:keys",
    "billing:usage",
    "adapters:catalogue",
    "inference:playground",
    "website:create_workspace",
]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def sign_up(client: Client, email: str = "dora@example.org", password: str = PASSWORD):
    return client.post(reverse("account_signup"), {"email": email, "password1": password})


def link_in(message) -> str:
    return re.search(r"http://testserver(/\S+)", message.body).group(1)


def verified(email: str, password: str = PASSWORD) -> User:
    user = User.objects.create_user(email, password)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def logged_in(email: str, password: str = PASSWORD) -> Client:
    client = Client()
    answer = client.post(reverse("account_login"), {"login": email, "password": password})
    assert answer.status_code == 302, answer.context["form"].errors
    return client


def test_nothing_can_be_used_before_the_address_is_confirmed():
    client = Client()
    answer = sign_up(client)
    assert answer["Location"] == reverse("account_email_verification_sent")
    client.post(reverse("account_login"), {"login": "dora@example.org", "password": PASSWORD})
    for place in PLACES:
        assert client.get(reverse(place))["Location"].startswith(reverse("account_login")), place
    assert not Tenant.objects.exists(), "a name is taken only by who can be reached"

    client.post(link_in(mail.outbox[0]))
    assert client.get(reverse("keys:keys"))["Location"] == reverse("website:create_workspace")
    client.post(reverse("website:create_workspace"), {"workspace": "Quill & Co"})
    tenant = Tenant.objects.of(User.objects.get(email="dora@example.org")).get()
    assert (tenant.name, tenant.slug) == ("Quill & Co", "quill-co")
    assert "Quill &amp; Co" in client.get(reverse("keys:keys")).text


@pytest.mark.parametrize(
    "address",
    ['"dora"@example.org', r'"\dora"@example.org', "dora@[192.0.2.1]", "\u017fora@example.org"],
    ids=["quoted", "escaped", "literal", "not ASCII"],
)
def test_a_second_name_of_a_mailbox_is_refused(address, alice_client, acme):
    assert sign_up(Client(), address).context["form"].errors["email"]
    invited = alice_client.post(reverse("accounts:invite"), {"email": address, "role": "member"})
    assert invited.status_code == 400
    body = {"email": address, "role": "member"}
    invited = alice_client.post("/api/v1/invitations", body, content_type="application/json")
    assert invited.status_code == 400
    assert not Invitation.objects.exists()


def test_an_address_has_one_spelling_wherever_it_is_typed(alice_client, acme):
    unicode, ascii_only = "Dora@Bücher.example", "dora@xn--bcher-kva.example"
    sign_up(Client(), unicode)
    sign_up(Client(), ascii_only)
    dora = User.objects.get(email__startswith="dora@")
    assert dora.email == ascii_only
    EmailAddress.objects.update(verified=True)
    for spelling in (unicode, ascii_only):
        answer = Client().post(reverse("account_login"), {"login": spelling, "password": PASSWORD})
        assert answer.status_code == 302, spelling
    alice_client.post(reverse("accounts:invite"), {"email": unicode, "role": "member"})
    assert Invitation.objects.get().email == ascii_only


def test_a_link_that_is_followed_elsewhere_logs_nobody_in():
    sign_up(Client())
    other = Client()
    other.post(link_in(mail.outbox[0]))
    assert EmailAddress.objects.get().verified
    assert other.get(reverse("website:create_workspace"))["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("way", ["account_signup", "account_reset_password"])
def test_a_stranger_cannot_tell_who_has_an_account(way):
    verified("alice@example.org")

    def answer_to(email: str):
        answer = Client().post(reverse(way), {"email": email, "password1": PASSWORD})
        return answer.status_code, answer.headers.get("Location"), answer.content

    assert answer_to("alice@example.org") == answer_to("nobody@example.org")
    assert {message.to[0] for message in mail.outbox} == {"alice@example.org", "nobody@example.org"}


def test_a_password_is_hashed_whether_there_is_an_account_or_not(monkeypatch):
    """A hash takes a quarter of a second: without it the time of one request told who has an account."""
    verified("alice@example.org")
    hashed: list[str] = []
    hasher = type(get_hasher())
    encode = hasher.encode

    def note(self, password: str, *options: object) -> str:
        hashed.append(password)
        return encode(self, password, *options)

    monkeypatch.setattr(hasher, "encode", note)
    for email in ("alice@example.org", "nobody@example.org"):
        sign_up(Client(), email)
        assert hashed == [PASSWORD], email
        hashed.clear()


def test_accounts_that_nobody_confirmed_go_after_a_month_and_no_others(alice):
    sign_up(Client())
    verified("erin@example.org")
    User.objects.create_user("staff@example.org", is_staff=True)
    assert delete_old("User", timezone.now()) == 0
    User.objects.update(date_joined=timezone.now() - timedelta(days=31))
    assert delete_old("User", timezone.now()) == 1
    left = set(User.objects.values_list("email", flat=True))
    assert left == {"alice@example.org", "erin@example.org", "staff@example.org"}


def test_guessing_is_counted_for_the_account_whatever_the_address_and_in_valkey(valkey):
    verified("alice@example.org")

    def guess(password: str, address: str):
        form = {"login": "alice@example.org", "password": password}
        return Client(REMOTE_ADDR=address).post(reverse("account_login"), form)

    for number in range(5):
        guess(f"wrong guess {number}", f"192.0.2.{number + 1}")
    refused = guess(PASSWORD, "192.0.2.99")
    assert refused.status_code == 200
    assert "Try again in 5 minutes" in str(refused.context["form"].errors)
    assert list(valkey.scan_iter("cache:*login_failed*")), "another process must count on from here"


def test_who_guesses_elsewhere_does_not_lock_out_a_known_device_and_operators_see_it(valkey, caplog):
    alice = verified("alice@example.org")
    verified("bob@example.org")
    known = logged_in("alice@example.org")
    others = logged_in("bob@example.org")  # a device of somebody else is a stranger to this account
    known.post(reverse("account_logout"))
    others.post(reverse("account_logout"))

    def log_in(client: Client, password: str, address: str) -> int:
        form = {"login": "alice@example.org", "password": password}
        return client.post(reverse("account_login"), form, REMOTE_ADDR=address).status_code

    for number in range(6):
        log_in(Client(), f"wrong guess {number}", f"192.0.2.{number + 1}")
    assert log_in(others, PASSWORD, "192.0.2.98") == 200
    assert valkey.get(names.login_lockouts_key()) == "2"
    assert f"login_locked_out user={alice.pk} is_known_device=False" in caplog.text
    assert log_in(known, PASSWORD, "192.0.2.99") == 302
    # The device itself may not guess either, and a new password ends what it proved.
    known.post(reverse("account_logout"))
    for number in range(5):
        log_in(known, f"wrong guess {number}", f"192.0.2.{number + 1}")
    assert log_in(known, PASSWORD, "192.0.2.97") == 200
    fresh = Client()
    fresh.cookies = known.cookies
    alice.set_password("another winding road")
    alice.save()
    assert log_in(fresh, "another winding road", "192.0.2.96") == 200


@pytest.fixture
def slow_hasher(monkeypatch) -> None:
    """Checking a password takes as long as with a real hasher, so that attempts at once overlap.

    All of them have their turns, however slow the machine is: after five seconds, they go on side by side.
    And allauth counts an address's attempts one after another: who waits a second for that is refused.
    """
    monkeypatch.setattr(ratelimit, "CACHE_LOCK_WAIT_TIMEOUT", PATIENCE_S)
    monkeypatch.setattr(ratelimit, "CACHE_LOCK_TIMEOUT", PATIENCE_S)
    monkeypatch.setattr(adapter, "TURN_WAIT_S", PATIENCE_S)
    monkeypatch.setattr(adapter, "TURN_LASTS_S", PATIENCE_S)
    hasher = get_hasher()
    verify = type(hasher).verify
    monkeypatch.setattr(type(hasher), "verify", lambda *args: sleep(0.05) or verify(*args))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same", ["account", "address"])
def test_right_passwords_at_once_lock_nobody_out(slow_hasher, same):
    emails = [f"alice{number if same == 'address' else ''}@example.org" for number in range(16)]
    for email in set(emails):
        verified(email)

    def log_in(number: int) -> int:
        address = "192.0.2.1" if same == "address" else f"192.0.2.{number}"
        form = {"login": emails[number], "password": PASSWORD}
        return Client(REMOTE_ADDR=address).post(reverse("account_login"), form).status_code

    assert race(*[partial(log_in, number) for number in range(16)]) == [302] * 16


@pytest.mark.django_db(transaction=True)
def test_of_wrong_passwords_at_once_five_are_checked(slow_hasher, monkeypatch):
    verified("alice@example.org")
    checked = []
    verify = type(get_hasher()).verify
    monkeypatch.setattr(type(get_hasher()), "verify", lambda *args: checked.append(args[1]) or verify(*args))

    def guess(number: int) -> None:
        form = {"login": "alice@example.org", "password": f"wrong guess {number}"}
        Client(REMOTE_ADDR=f"192.0.2.{number}").post(reverse("account_login"), form)

    race(*[partial(guess, number) for number in range(16)])
    assert len(checked) == 5


def test_sign_ups_are_counted_by_address(settings):
    settings.ACCOUNT_RATE_LIMITS = {"signup": "2/m/ip"}
    answers = [sign_up(Client(), f"dora{number}@example.org").status_code for number in range(3)]
    assert answers == [302, 302, 429]


@pytest.mark.parametrize(
    "weak", ["password1234", "dora@example.org", "qwertyuiop", "aaaaaaaaaaaaaaaa", "polyscribe1"]
)
def test_a_password_that_is_guessed_early_is_refused(weak):
    answer = sign_up(Client(), password=weak)
    assert answer.status_code == 200
    assert answer.context["form"].errors["password1"]
    assert not User.objects.exists()


def test_a_strong_password_of_any_length_passes():
    StrengthValidator().validate("correct horse battery staple")
    StrengthValidator().validate("correct horse battery staple, " + "and so on " * 400)
    with pytest.raises(ValidationError, match="easy to guess"):
        StrengthValidator().validate("a" * 4000)


def test_a_reset_password_asks_to_review_the_keys_made_before():
    alice = verified("alice@example.org")
    client = logged_in("alice@example.org")
    client.post(reverse("website:create_workspace"), {"workspace": "Acme"})
    key, _ = issue_key(Tenant.objects.get(), name="an old laptop", by=alice)
    assert "Review your existing keys" not in client.get(reverse("keys:keys")).text

    browser = Client()
    browser.post(reverse("account_reset_password"), {"email": "alice@example.org"})
    form = browser.get(link_in(mail.outbox[-1]), follow=True)
    new = "another winding river"
    browser.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})
    assert client.get(reverse("keys:keys")).status_code == 302, "the old password's sessions end"

    answer = browser.post(reverse("account_login"), {"login": "alice@example.org", "password": new})
    assert answer["Location"] == reverse("keys:keys")
    page = browser.get(reverse("keys:keys"))
    assert "Review your existing keys" in page.text
    assert list(page.context["to_review"]) == [key]
    browser.post(reverse("keys:keys_reviewed"))
    assert "Review your existing keys" not in browser.get(reverse("keys:keys")).text


def test_a_new_address_needs_the_password_tells_the_old_one_and_asks_to_review_keys():
    verified("alice@example.org")
    client = logged_in("alice@example.org")
    change = {"email": "alice@example.net", "action_add": ""}
    asked = client.post(reverse("account_email"), change)
    assert asked["Location"].startswith(reverse("account_reauthenticate"))
    assert not mail.outbox
    client.post(asked["Location"], {"password": PASSWORD})
    client.post(reverse("account_email"), change)
    assert User.objects.get().email == "alice@example.org", "until the new address is confirmed"
    confirmation = next(message for message in mail.outbox if message.to == ["alice@example.net"])
    client.post(link_in(confirmation))
    user = User.objects.get()
    assert user.email == "alice@example.net"
    assert user.review_keys_since
    mails = [message.body for message in mail.outbox if message.to == ["alice@example.org"]]
    assert any("alice@example.net" in body for body in mails)
