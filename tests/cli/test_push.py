"""A push: what is sent, what is sent again, and what a killed one does when it is started again."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from django.utils import timezone

from adapters.models import AdapterVersion, Engine, Style
from adapters.object_store import uploads
from adapters.placement import reconciler
from adapters.uploads import sessions
from polyscribe import (
    Conflict,
    FolderChanged,
    NotFound,
    NotServingYet,
    PushObserver,
    RetryPolicy,
    Unreachable,
    VersionFailed,
    VersionRejected,
)
from polyscribe.errors import StorageRefused
from polyscribe.push.uploader import ENDED_UPLOAD
from tests.cli.conftest import WIDE_BASE, adapter_of_rank
from tests.cli.service import busy, problem
from tests.fakes.broken_adapters import make

STYLE = "brand-voice"
CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PART_BYTES = 5 * 1024 * 1024  # S3 takes no smaller part, the last one excepted


class Killed(BaseException):
    """The process ends here."""


class Recorder(PushObserver):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.total_bytes = 0
        self.stored_bytes = 0
        self.sent_bytes = 0
        self.steps: list[tuple[str, str]] = []

    def upload_began(self, version, *, total_bytes, stored_bytes):
        self.total_bytes = total_bytes
        self.stored_bytes = stored_bytes

    def bytes_sent(self, count):
        self.sent_bytes += count

    def step_changed(self, step):
        self.steps.append((step["label"], step["state"]))


@pytest.fixture(autouse=True)
def one_part_after_the_other(monkeypatch) -> None:
    """Let it be certain what has arrived when something happens."""
    monkeypatch.setattr("polyscribe.push.parts.AT_ONCE", 1)


@pytest.fixture
def parts(tmp_path, monkeypatch) -> Path:
    """A folder whose files are four parts."""
    monkeypatch.setattr(uploads, "PART_BYTES", PART_BYTES)
    folder = tmp_path / "parts"
    adapter_of_rank(16).write(folder)
    assert part_count(folder) == 4
    return folder


@pytest.fixture
def stored(folder):
    """Read a file of the newest version as its engine has it."""
    return lambda name: (folder / str(newest().pk) / name).read_bytes()


@pytest.fixture
def broken(adapter) -> Path:
    """A folder that the service rejects."""
    make("dora", adapter, WIDE_BASE)
    return adapter


def rewrite(path: Path, *, keeps_time: bool = False) -> None:
    """Write other bytes of the same number into a file."""
    times = os.stat(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    moved_ns = 0 if keeps_time else 1_000_000
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + moved_ns))


def lengthen(config: Path) -> None:
    config.write_text(config.read_text() + " ")


def newest() -> AdapterVersion:
    return AdapterVersion.objects.order_by("created_at").last()


def start(vllm, engine: Engine) -> None:
    """Let the engine answer again, and its worker push what waits."""
    vllm.start()
    reconciler.reconcile(engine)


def part_count(adapter: Path) -> int:
    sizes = [(adapter / name).stat().st_size for name in (CONFIG, WEIGHTS)]
    return sum(-(-size // PART_BYTES) for size in sizes)


@contextmanager
def killed_after(service, puts: int) -> Iterator[None]:
    """Let the storage take some parts; then the process is killed."""
    store = service.store

    def store_some(request: httpx.Request) -> httpx.Response:
        if len(service.puts) >= puts:
            raise Killed
        return store(request)

    service.store = store_some
    with pytest.raises(Killed):
        yield
    del service.store


def test_a_folder_is_sent_in_parts_and_followed_until_it_serves(client, service, parts, stored, monkeypatch):
    monkeypatch.setattr("polyscribe.push.parts.AT_ONCE", 4)
    observer = Recorder()

    version = client.push(parts, style=STYLE, name="Brand voice", observer=observer)

    assert (version["status"], version["number"]) == ("serving", 1)
    assert Style.objects.get().name == "Brand voice"
    for name in (CONFIG, WEIGHTS):
        assert stored(name) == (parts / name).read_bytes()
    assert len(service.puts) == len(set(service.puts)) == part_count(parts)
    assert observer.sent_bytes == observer.total_bytes
    assert observer.steps[-1] == ("Serving", "done")
    assert len(observer.steps) == len(set(observer.steps))


def test_more_parts_than_are_asked_for_at_once_all_arrive(client, service, parts, stored, monkeypatch):
    monkeypatch.setattr("polyscribe.push.parts.BATCH_PARTS", 2)

    client.push(parts, style=STYLE)

    assert len(service.puts) == part_count(parts)
    assert stored(WEIGHTS) == (parts / WEIGHTS).read_bytes()


def test_a_folder_that_is_pushed_again_is_a_version_of_the_same_style(client, adapter):
    client.push(adapter, style=STYLE)
    assert client.push(adapter, style=STYLE)["number"] == 2
    lengthen(adapter / CONFIG)
    assert client.push(adapter, style=STYLE, promote=False)["number"] == 3
    lengthen(adapter / CONFIG)
    assert client.push(adapter, style=STYLE, canary_percent=10)["number"] == 4

    promoted = Style.objects.get().versions.order_by("number").values_list("auto_promote", flat=True)
    assert list(promoted) == [True, True, False, False]
    canary = client.get(f"{client.style_path(STYLE)}/canary")
    assert (canary["version"], canary["percent"]) == (4, 10)


def test_a_killed_push_goes_on_and_sends_no_part_twice(client, service, parts, stored):
    with killed_after(service, puts=2):
        client.push(parts, style=STYLE)

    observer = Recorder()
    version = client.push(parts, style=STYLE, observer=observer)

    assert version["number"] == 1
    assert len(service.puts) == len(set(service.puts)) == part_count(parts)
    assert stored(WEIGHTS) == (parts / WEIGHTS).read_bytes()
    assert observer.stored_bytes > 0
    assert observer.stored_bytes + observer.sent_bytes == observer.total_bytes


def test_a_push_that_was_killed_before_it_knew_its_version_finds_it_again(client, service, adapter):
    client.post("/styles", {"slug": STYLE, "name": "Brand voice"})
    answer = service.answer

    def lose_the_version(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        if request.method == "POST" and request.url.path.endswith("/versions"):
            raise Killed
        return response

    service.answer = lose_the_version
    with pytest.raises(Killed):
        client.push(adapter, style=STYLE)
    del service.answer

    assert client.push(adapter, style=STYLE)["number"] == 1
    assert AdapterVersion.objects.count() == 1


def test_a_push_that_was_killed_while_it_watched_goes_on_watching(client, service, adapter):
    class Impatient(PushObserver):
        def step_changed(self, step):
            raise Killed

    with pytest.raises(Killed):
        client.push(adapter, style=STYLE, observer=Impatient())
    sent = list(service.puts)

    assert client.push(adapter, style=STYLE)["number"] == 1
    assert service.puts == sent


@pytest.mark.parametrize("change", ["content", "size", "style", "promote"])
def test_other_files_or_options_are_another_push(client, service, adapter, stored, change):
    with killed_after(service, puts=1):
        client.push(adapter, style=STYLE)

    if change == "content":
        rewrite(adapter / WEIGHTS, keeps_time=True)
    if change == "size":
        lengthen(adapter / CONFIG)
    style = "other-voice" if change == "style" else STYLE
    client.push(adapter, style=style, promote=change != "promote")

    assert newest().style.slug == style
    assert stored(WEIGHTS) == (adapter / WEIGHTS).read_bytes()
    assert AdapterVersion.objects.count() == 2


def abandon(version: AdapterVersion) -> None:
    AdapterVersion.objects.filter(pk=version.pk).update(
        created_at=timezone.now() - 2 * sessions.ABANDONED_AFTER
    )
    sessions.abandon_old_uploads()


@pytest.mark.parametrize("give_up", [abandon, sessions.cancel_upload])
def test_an_upload_that_the_service_gave_up_is_begun_again(client, service, adapter, give_up):
    with killed_after(service, puts=1):
        client.push(adapter, style=STYLE)
    give_up(newest())

    assert newest().findings[0].code in ENDED_UPLOAD
    assert client.push(adapter, style=STYLE)["number"] == 2


def test_an_upload_that_is_cancelled_while_it_is_sent_says_so_and_is_begun_again(client, service, adapter):
    def cancel(request: httpx.Request) -> httpx.Response:
        with suppress(Conflict):  # the other part came first
            client.delete(f"/uploads/{AdapterVersion.objects.get().pk}")
        return httpx.Response(404)

    service.store = cancel
    with pytest.raises(VersionRejected) as caught:
        client.push(adapter, style=STYLE)
    assert caught.value.findings[0]["code"] == "cancelled"
    del service.store
    assert client.push(adapter, style=STYLE)["number"] == 2


def change_after(service, puts: int, change) -> None:
    """Change the folder once the storage has taken some parts."""
    store = service.store

    def store_and_change(request: httpx.Request) -> httpx.Response:
        answer = store(request)
        if len(service.puts) == puts:
            change()
        return answer

    service.store = store_and_change


def test_a_folder_that_changes_while_it_is_sent_is_given_up_and_then_another_version(
    client, service, parts, stored
):
    change_after(service, 2, lambda: rewrite(parts / WEIGHTS))

    with pytest.raises(FolderChanged, match=r"changed during the upload\. .* Push the folder again"):
        client.push(parts, style=STYLE)

    assert (newest().status, newest().findings[0].code) == ("rejected", "cancelled")
    assert len(service.puts) < part_count(parts)
    del service.store
    version = client.push(parts, style=STYLE)
    assert (version["number"], version["status"]) == (2, "serving")
    assert stored(WEIGHTS) == (parts / WEIGHTS).read_bytes()


def test_a_file_that_is_gone_ends_the_push(client, service, adapter):
    change_after(service, 1, (adapter / WEIGHTS).unlink)

    with pytest.raises(FolderChanged, match="can no longer be read"):
        client.push(adapter, style=STYLE)
    assert newest().status == "rejected"


def test_a_mixture_that_no_time_betrays_is_told_once_it_serves(client, service, adapter):
    change_after(service, 1, lambda: rewrite(adapter / WEIGHTS, keeps_time=True))

    with pytest.raises(
        FolderChanged, match=r"adapter_model\.safetensors differs from the one that was checked"
    ):
        client.push(adapter, style=STYLE)


def test_a_version_that_takes_longer_than_the_timeout_is_waited_for_by_the_same_command(
    service, new_client, adapter, vllm, engine
):
    waits: list[float] = []
    client = new_client(RetryPolicy(sleep=waits.append, clock=lambda: sum(waits)))
    vllm.stop()

    with pytest.raises(NotServingYet, match="acme/brand-voice@1 is not serving yet, 5 s after") as caught:
        client.push(adapter, style=STYLE, timeout_s=5)

    assert waits == [2.0, 2.0, 1.0]
    assert "Run the same command again" in caught.value.message
    sent = list(service.puts)
    start(vllm, engine)
    assert client.push(adapter, style=STYLE, timeout_s=5)["number"] == 1
    assert service.puts == sent


def test_a_part_that_fails_is_sent_again_and_the_others_are_not(client, service, parts, waits):
    observer = Recorder()
    service.put_faults = [httpx.Response(403), httpx.WriteError("broken pipe")]

    client.push(parts, style=STYLE, observer=observer)

    assert len(service.puts) == len(set(service.puts)) == part_count(parts)
    assert observer.sent_bytes == observer.total_bytes
    assert len(waits) == 1


def test_a_storage_that_takes_nothing_ends_the_push(client, service, adapter):
    service.put_faults = [httpx.Response(403)] * 1000

    with pytest.raises(StorageRefused, match="returned 403") as caught:
        client.push(adapter, style=STYLE)
    assert "secret" not in str(caught.value)


def test_no_signature_gets_into_a_log(client, adapter, caplog):
    caplog.set_level("DEBUG")

    client.push(adapter, style=STYLE)

    told = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("http"))
    assert "HTTP Request: PUT" in told
    assert "X-Amz-Signature" not in told


def test_a_service_that_goes_away_in_the_middle_is_waited_for(client, service, adapter, broken_line):
    service.faults = [broken_line, busy(), broken_line]

    assert client.push(adapter, style=STYLE)["status"] == "serving"


def test_where_no_stream_comes_through_the_steps_are_polled(service, new_client, adapter, vllm, engine):
    answer = service.answer

    def answer_without_streams(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            return httpx.Response(502, text="<html>no streams through here</html>")
        return answer(request)

    def load_meanwhile(wait_s: float) -> None:
        waits.append(wait_s)
        start(vllm, engine)

    waits: list[float] = []
    service.answer = answer_without_streams
    vllm.stop()
    observer = Recorder()

    new_client(RetryPolicy(sleep=load_meanwhile)).push(adapter, style=STYLE, observer=observer)

    assert observer.steps[-1] == ("Serving", "done")
    assert waits == [2.0]


def test_a_rejected_version_is_told_with_its_findings(client, broken):
    with pytest.raises(VersionRejected, match="acme/brand-voice@1 was rejected") as caught:
        client.push(broken, style=STYLE)

    assert [finding["code"] for finding in caught.value.findings] == ["dora"]
    assert caught.value.version["number"] == 1


def test_a_version_that_no_engine_takes_is_told(client, adapter, vllm):
    vllm.refuses_with = "LoRA rank 4 is greater than max_lora_rank 2."

    with pytest.raises(VersionFailed, match="greater than max_lora_rank"):
        client.push(adapter, style=STYLE)


def test_a_style_of_somebody_else_is_not_created(client, service, adapter):
    with pytest.raises(NotFound):
        client.push(adapter, style="stranger/brand-voice")
    assert not Style.objects.exists()


def test_the_exit_code_tells_how_a_push_ended(logged_in, service, adapter, broken_line):
    for fault, code in (
        (problem(403, "insufficient_scope", "This API key lacks the scope `styles:write`."), 4),
        (problem(401, "invalid_api_key", "The API key is revoked."), 4),
        (problem(409, "too_many_uploads", "Three uploads are open."), 1),
        (broken_line, 3),
    ):
        service.faults = [fault] * 9
        done = logged_in("push", adapter, "--style", STYLE)
        assert done.code == code, done.err
        assert done.err
        assert "Traceback" not in done.err


def test_the_command_exits_with_0_when_the_version_serves(logged_in, adapter):
    done = logged_in("push", adapter, "--style", STYLE)

    assert done.code == 0
    assert done.out == "acme/brand-voice@1 serves. It is live for acme/brand-voice.\n"
    assert "✓ Serving" in done.err
    assert logged_in("push", adapter, "--style", STYLE, "--json").json["status"] == "serving"


def test_the_command_exits_with_1_and_prints_what_to_mend(logged_in, broken):
    done = logged_in("push", broken, "--style", STYLE)

    assert (done.code, done.out) == (1, "")
    finding = newest().findings[0]
    assert finding.sentence in done.err
    assert finding.fix in done.err

    done = logged_in("push", broken, "--style", STYLE, "--json")
    assert done.code == 1
    assert [finding["code"] for finding in done.json["error"]["findings"]] == ["dora"]


def test_the_command_exits_with_5_when_its_timeout_is_over(logged_in, service, adapter, vllm, engine):
    vllm.stop()

    done = logged_in("push", adapter, "--style", STYLE, "--timeout", "0")
    assert (done.code, done.out) == (5, "")
    assert "is not serving yet, 0 s after the upload." in done.err
    assert "Run the same command again to keep waiting" in " ".join(done.err.split())
    told = logged_in("push", adapter, "--style", STYLE, "--timeout", "0", "--json")
    assert (told.code, told.json["error"]["kind"]) == (5, "NotServingYet")
    assert told.json["error"]["version"]["number"] == 1

    start(vllm, engine)
    assert logged_in("push", adapter, "--style", STYLE).code == 0
    assert len(service.puts) == part_count(adapter)


def test_a_folder_that_is_no_adapter_is_told_before_anything_is_sent(logged_in, service, adapter):
    shutil.move(adapter / WEIGHTS, adapter / "adapter_model.bin")

    done = logged_in("push", adapter, "--style", STYLE)

    assert done.code == 1
    assert "pickle" in done.err
    assert service.requests == []


def test_ctrl_c_ends_a_push_at_once_and_quietly(logged_in, service, adapter):
    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    service.store = interrupt

    done = logged_in("push", adapter, "--style", STYLE)

    assert done.code == 130
    assert "Traceback" not in done.err


def test_an_unreachable_service_is_one_sentence(client, service, adapter, broken_line):
    service.faults = [broken_line] * 9

    with pytest.raises(Unreachable, match="is not responding"):
        client.push(adapter, style=STYLE)
