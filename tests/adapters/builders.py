import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection, transaction
from safetensors.numpy import save

from adapters import enqueue, object_store
from adapters.catalog import queries
from adapters.catalog.queries import Card, Kind
from adapters.models import AdapterVersion, Engine, Placement, Status, Style
from adapters.object_store import Upload
from adapters.placement import reconciler, transitions
from adapters.routing import publisher
from adapters.uploads import pipeline, sessions
from adapters.uploads.upload_request import StyleDescription
from config.celery import app
from core import locks
from core import valkey as valkey_keys
from inference.contract.route import Target
from tenants.access import Access
from tenants.models import Tenant, User
from tests.adapters import routes
from tests.fakes.vllm_control import BASE

WIDTH, LAYERS = 64, 2
CLOSED = "http://127.0.0.1:9"  # nothing listens on the discard port

type Files = dict[str, bytes]


def by(person: User | None = None) -> Access:
    """Return the access of a person, or of nobody in particular, to acme's workspace."""
    return Access(Tenant.objects.get(slug="acme"), person)


def module_names() -> list[str]:
    kinds = ("q_proj", "v_proj")
    return [f"model.layers.{layer}.self_attn.{kind}" for layer in range(LAYERS) for kind in kinds]


def adapter_files(*, rank: int = 4, seed: int = 0, base: str = BASE) -> Files:
    """Return a small sane adapter for the tests' base model, another one for each seed."""
    random = np.random.default_rng(seed)
    tensors = {}
    for module in module_names():
        stem = f"base_model.model.{module}"
        tensors[f"{stem}.lora_A.weight"] = random.normal(0, 0.1, (rank, WIDTH)).astype(np.float32)
        tensors[f"{stem}.lora_B.weight"] = random.normal(0, 0.01, (WIDTH, rank)).astype(np.float32)
    facts = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": rank,
        "target_modules": ["q_proj", "v_proj"],
    }
    return {"adapter_config.json": json.dumps(facts).encode(), "adapter_model.safetensors": save(tensors)}


def zipped(files: Files) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def post(upload: Upload, content: bytes) -> int:
    """Post a file as a browser does and return the storage's status."""
    boundary = uuid4().hex
    opening = f"--{boundary}\r\nContent-Disposition: form-data; name="
    fields = [f'{opening}"{name}"\r\n\r\n{value}\r\n' for name, value in upload.fields.items()]
    head = "".join(fields) + f'{opening}"file"; filename="f"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(upload.url, body, headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def put_part(url: str, content: bytes) -> int:
    """PUT one part to its presigned URL and return the storage's status."""
    request = urllib.request.Request(url, content, {"Content-Type": ""}, method="PUT")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def twin_of(engine: Engine, name: str, **facts: object) -> Engine:
    """Return another engine of the same base model: a copy of one with other facts."""
    twin = Engine.objects.get(pk=engine.pk)
    twin.pk, twin.name = None, name
    for field, value in facts.items():
        setattr(twin, field, value)
    twin.save(force_insert=True)
    publisher.mark_engines_changed([twin.pk])
    return twin


def published_routes(valkey, tenant: Tenant) -> dict[str, dict]:
    """Return typed name → route as the data plane finds it in Valkey's tables."""
    return routes.join_tables(
        published_targets(valkey, tenant),
        valkey.hgetall(valkey_keys.route_versions_key()),
        valkey.hgetall(valkey_keys.route_engines_key()),
    )


def published_targets(valkey, tenant: Tenant) -> dict[str, Target]:
    """Return typed name → where it leads a tenant by Valkey's tables; nothing where its library is absent."""
    library = valkey.hgetall(valkey_keys.library_key(tenant.pk))
    if not library:
        return {}
    del library[routes.MARK]
    return routes.lead(tenant.slug, library, valkey.hgetall(valkey_keys.route_styles_key()))


def published_share(valkey, model_name: str, view: str = "owner") -> int | None:
    """Return the canary's share that a style's row has for its owner, or for others."""
    row = json.loads(valkey.hget(valkey_keys.route_styles_key(), model_name))
    return row.get(view, row["owner"]).get("canary_percent")


@contextmanager
def storage_down() -> Iterator[None]:
    """Take the storage away for a while."""
    unreachable = object_store.client.connect(CLOSED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_store.client, "internal_client", lambda: unreachable)
        yield


@contextmanager
def eager_tasks() -> Iterator[None]:
    """Run each task at once in this process when it is enqueued; every queue looks empty."""
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enqueue, "_count_queued", lambda queue, producer: 0)
        yield
    app.conf.update(task_always_eager=False, task_eager_propagates=False)


@contextmanager
def locked_elsewhere(action: str) -> Iterator[None]:
    """Let another worker hold the lock of an action."""
    is_held, may_end = Event(), Event()

    def hold() -> None:
        with locks.only_one(action):
            is_held.set()
            may_end.wait(60)
        connection.close()

    worker = Thread(target=hold)
    worker.start()
    assert is_held.wait(60)
    try:
        yield
    finally:
        may_end.set()
        worker.join()


def begin(tenant: Tenant, slug: str, files: Files) -> tuple[AdapterVersion, list[Upload]]:
    about = StyleDescription(slug=slug, name=slug.title(), sample_prompt="Describe a morning.")
    return sessions.begin_upload(tenant, None, about, {name: len(content) for name, content in files.items()})


def posted(
    tenant: Tenant, slug: str = "noir", files: Files | None = None
) -> tuple[AdapterVersion, list[Upload]]:
    """Return a version whose files were posted and whose upload is not finished, and the forms."""
    files = files or adapter_files()
    version, forms = begin(tenant, slug, files)
    assert {post(form, content) for form, content in zip(forms, files.values(), strict=True)} == {204}
    return version, forms


def uploaded(tenant: Tenant, slug: str = "noir", files: Files | None = None) -> AdapterVersion:
    """Return a version whose files were posted and whose upload is finished."""
    version, _ = posted(tenant, slug, files)
    sessions.finish_upload(version)
    return version


def pushed(tenant: Tenant, engine: Engine) -> AdapterVersion:
    """Return a version that was uploaded, examined and pushed, whatever the engine says of it."""
    version = uploaded(tenant)
    pipeline.advance_version(version)
    reconciler.reconcile(engine)
    version.refresh_from_db()
    return version


def served(tenant: Tenant, slug: str, engine: Engine, files: Files | None = None) -> AdapterVersion:
    """Return a version that was uploaded, examined, pushed and serves."""
    version = uploaded(tenant, slug, files)
    pipeline.advance_version(version)
    reconciler.reconcile(Engine.objects.get(pk=engine.pk))
    version.refresh_from_db()
    assert version.status == Status.SERVING, (version.note, version.findings, version.failure)
    return version


def known(
    tenant: Tenant, slug: str, engine: Engine, *, status: Status = Status.SERVING, **facts: object
) -> AdapterVersion:
    """Return a style's next version as a row only, for tests of pages and routes: no file, no engine."""
    about = {"name": slug.title(), "base_model": engine.base_model}
    style, is_new = Style.objects.get_or_create(owner=tenant, slug=slug, defaults=about)
    if is_new:
        publisher.mark_libraries_changed([tenant.pk])
    before = Status.PUSHING if status == Status.SERVING else status
    number = style.versions.count() + 1
    version = style.versions.create(number=number, sha256="a" * 64, status=before, **facts)
    version.history.create(status=before)
    placement = Placement.objects.create(engine=engine, version=version)
    if status == Status.SERVING:
        transitions.mark_loaded(placement, version.engine_name)
    else:
        with transaction.atomic():
            publisher.mark_changed(style)
    return version


def described(tenant: Tenant, engine: Engine, **texts: str) -> Style:
    """Return a private style, which serves and may be offered: its author and its licence are named."""
    style = known(tenant, "noir", engine).style
    Style.objects.filter(pk=style.pk).update(author="Alice", licence="CC BY 4.0", **texts)
    return Style.objects.select_related("owner").get(pk=style.pk)


def own_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return a tenant's own styles as it sees them."""
    return queries.cards_of(tenant, list(queries.list_styles(tenant, Kind.OWN, words).order_by("name")))


def others_styles(tenant: Tenant, words: str = "") -> list[Card]:
    """Return the styles of other tenants that this one can have or has."""
    styles = queries.list_styles(tenant, words=words).exclude(owner=tenant)
    return queries.cards_of(tenant, list(styles.order_by("name")))
