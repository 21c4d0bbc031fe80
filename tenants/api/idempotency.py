"""`Idempotency-Key`: a request that is sent twice acts once, and is answered twice.

The action and its answer are saved in one transaction. So a request that was cut off in the middle did
nothing, and one that ended is answered from what is kept, whatever process gets it.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection
from django.utils import timezone

from core.errors import Conflict, Invalid
from tenants.access import Access
from tenants.models import CachedAnswer

ANSWERS_KEPT = timedelta(hours=24)
MAX_NAME = 255  # characters of an Idempotency-Key


class BadName(Invalid):
    """An Idempotency-Key must have 1 to 255 characters."""

    code = "invalid_idempotency_key"


class KeyInUse(Conflict):
    """A request with this Idempotency-Key is still in progress. Try again shortly to get its response."""

    code = "idempotency_key_in_use"


class KeyUsedOtherwise(Conflict):
    """This Idempotency-Key was already used for a different request. Use a new key for each request."""

    code = "idempotency_key_reused"


@dataclass(frozen=True)
class StoredAnswer:
    """What a request was answered."""

    status: int
    body: object


@dataclass(frozen=True)
class Idempotent:
    """One request under its Idempotency-Key. Use it inside a transaction."""

    access: Access
    name: str
    request_digest: str

    def find_answer(self) -> StoredAnswer | None:
        """Lock the key until the transaction ends; return the answer that is kept, if any.

        Raises KeyInUse while another request holds the key, and KeyUsedOtherwise.
        """
        if not 1 <= len(self.name) <= MAX_NAME:
            raise BadName
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [self._lock_name])
            [is_locked] = cursor.fetchone()
        if not is_locked:
            raise KeyInUse(retry_s=1)
        kept = CachedAnswer.objects.filter(
            tenant=self.access.tenant, caller=self.access.caller, name_digest=self._name_digest
        ).first()
        if kept and kept.created_at < timezone.now() - ANSWERS_KEPT:  # the pruner has yet to come
            kept.delete()
            kept = None
        if kept is None:
            return None
        if kept.request_digest != self.request_digest:
            raise KeyUsedOtherwise
        return StoredAnswer(kept.status, json.loads(self._cipher.decrypt(bytes(kept.body))))

    def keep(self, answer: StoredAnswer) -> None:
        """Keep the answer, in the transaction of the action."""
        CachedAnswer.objects.create(
            tenant=self.access.tenant,
            caller=self.access.caller,
            name_digest=self._name_digest,
            request_digest=self.request_digest,
            status=answer.status,
            body=self._cipher.encrypt(json.dumps(answer.body, default=str).encode()),
        )

    @property
    def _lock_name(self) -> str:
        return f"idempotency {self.access.tenant.pk} {self.access.caller} {self._name_digest}"

    @property
    def _name_digest(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def _cipher(self) -> Fernet:
        # A kept answer may hold an API key's secret. The database alone can't read it: the Idempotency-Key,
        # of which it has a digest only, is a part of the key.
        material = settings.CACHE_SALT_SECRET + self.name.encode()
        derived = HKDF(SHA256(), length=32, salt=None, info=b"kept answers").derive(material)
        return Fernet(base64.urlsafe_b64encode(derived))


def digest_request(method: str, path: str, body: bytes) -> str:
    """Return the digest that tells whether two requests are the same."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).hexdigest()
