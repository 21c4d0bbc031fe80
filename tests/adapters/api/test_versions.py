"""Versions over the management API."""

from hashlib import sha256
from urllib.request import urlopen

import pytest
from django.utils import timezone

from adapters import object_store
from adapters.catalog import sharing
from adapters.errors import Finding
from adapters.models import AdapterVersion, Erasure, Probe, Status, Style
from adapters.placement import transitions
from tests.adapters.api.conftest import logged_actions, read_all
from tests.adapters.builders import known
from tests.tenants.api.builders import problem
from tests.tenants.builders import owner_of

pytestmark = pytest.mark.django_db

FOUND = Finding("rank_too_high", {"rank": 256, "limit": 64})
FINDING = {
    "code": "rank_too_high",
    "sentence": "The rank is 256; this engine supports up to 64.",
    "fix": "Train with r = 64 or less.",
    "tensor": "",
}
NOIR = "styles/acme/noir/versions"


def sample(prompt: str, text: str) -> dict[str, str]:
    return {"prompt": prompt, "base": "So.", "style": text}


def test_versions_are_listed_newest_first_and_shown_one_by_one(program, acme, engine, version):
    known(acme, "noir", engine, status=Status.FAILED, failure="No memory.")
    known(acme, "noir", engine, auto_promote=False)
    listed = read_all(program, NOIR)
    assert [row["number"] for row in listed] == [3, 2, 1]
    assert [row["is_live"] for row in listed] == [False, False, True]
    [failed] = program.get(f"{NOIR}?status=failed").json()["data"]
    assert (failed["failure"], failed["model"]) == ("No memory.", "acme/noir@2")
    assert program.get(f"{NOIR}/2").json() == failed
    problem(program.get(f"{NOIR}?status=broken"), 400, "invalid")
    for number in ("9", "0", str(10**30)):
        problem(program.get(f"{NOIR}/{number}"), 404, "version_not_found")
    assert program.get(f"{NOIR}/-1").status_code == 404


def test_the_list_asks_as_many_questions_for_many_versions_as_for_few(
    program, acme, engine, version, django_assert_max_num_queries
):
    for _ in range(12):
        known(acme, "noir", engine)
    with django_assert_max_num_queries(8):
        assert len(program.get(f"{NOIR}?limit=100").json()["data"]) == 13


def test_a_report_names_every_finding_with_its_fix(program, acme, engine):
    known(acme, "noir", engine, status=Status.REJECTED, findings=[FOUND], conversions=["ranks"])
    report = program.get(f"{NOIR}/1/report").json()
    assert report["findings"] == [FINDING]
    assert report["status"] == "rejected"
    assert "with zeros" in report["conversions"][0]
    assert program.get(f"{NOIR}/1").json()["findings"] == [FINDING]


def test_a_rejected_version_is_converted_once(program, acme, engine):
    rejected = known(acme, "noir", engine, status=Status.REJECTED, conversions=["ranks"])
    converted = program.post(f"{NOIR}/1/autofix")
    assert converted.status_code == 201
    new = converted.json()
    assert (new["number"], new["converted_from"], new["status"]) == (2, 1, "uploaded")
    assert program.post(f"{NOIR}/1/autofix").json() == new
    problem(program.post(f"{NOIR}/2/autofix"), 409, "nothing_to_convert")
    assert rejected.style.versions.count() == 2
    assert logged_actions(acme) == ["version.converted"]


def test_only_a_failed_version_is_pushed_again(program, acme, engine, version):
    known(acme, "noir", engine, status=Status.FAILED)
    assert program.post(f"{NOIR}/2/retry").json()["status"] == "valid"
    problem(program.post(f"{NOIR}/1/retry"), 409, "version_moved")
    assert logged_actions(acme) == ["version.retried"]


def test_a_version_is_retired_once_and_not_from_others_unasked(program, acme, charlies, engine, version):
    sharing.share_style(owner_of(version.style.owner), version.style, "charlies-prose")
    problem(program.post(f"{NOIR}/1/retire"), 409, "still_used")
    problem(program.post(f"{NOIR}/1/retire", {"at_once": 3}), 400, "invalid")
    retired = program.post(f"{NOIR}/1/retire", {"at_once": True}).json()
    assert (retired["status"], retired["is_live"]) == ("retired", False)
    assert program.post(f"{NOIR}/1/retire").json() == retired
    assert logged_actions(acme) == ["style.shared", "version.retired"]
    known(acme, "noir", engine, status=Status.REJECTED)
    problem(program.post(f"{NOIR}/2/retire"), 409, "never_served")


def test_a_deleted_version_has_an_erasure_and_the_style_goes_with_the_last(program, acme, engine, version):
    known(acme, "noir", engine)
    before = program.get(f"{NOIR}/1")
    known_etag = before["ETag"]
    transitions.retire_version(version)
    problem(program.request("delete", f"{NOIR}/1", {}, If_Match=known_etag), 412, "precondition_failed")
    answer = program.delete(f"{NOIR}/1")
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["version"]) == (str(version.pk), 1)
    assert program.get(f"{NOIR}/1").json()["erasure"] == str(version.pk)
    assert program.delete(f"{NOIR}/1").status_code == 202
    assert Erasure.objects.count() == 1
    program.delete(f"{NOIR}/2")
    problem(program.get(NOIR), 404, "style_not_found")
    assert Style.objects.get().retired_at
    assert logged_actions(acme) == ["version.deleted", "version.deleted"]


def test_what_was_not_measured_has_no_card(program, version):
    problem(program.get(f"{NOIR}/1/card"), 404, "no_card")
    problem(program.get(f"{NOIR}/2/card"), 404, "version_not_found")


def test_two_versions_are_compared_on_what_both_were_asked(program, acme, engine, version):
    problem(program.get("styles/acme/noir/compare"), 409, "no_pair")
    second = known(acme, "noir", engine, auto_promote=False)
    known(acme, "noir", engine, auto_promote=False)
    shifts = [{"prompt": "Why?", "shift": 0.5}]
    for one, samples in (
        (version, [sample("Why?", "It rains."), sample("Who?", "Me.")]),
        (second, [sample("Why?", "Because the rain falls on all of us, always.")]),
    ):
        Probe.objects.create(version=one, strength=0.5, noise=0, shifts=shifts, samples=samples)
    compared = program.get("styles/acme/noir/compare?b=2").json()
    assert compared["first"]["version"]["number"] == 1
    assert compared["second"]["version"]["number"] == 2
    assert compared["second"]["card"]["effect"] == "strong"
    assert compared["first"]["figures"]["requests"] == 0
    answers = {"first": "It rains.", "second": "Because the rain falls on all of us, always."}
    assert compared["samples"] == [{"prompt": "Why?", **answers}]
    assert any("longer" in sentence for sentence in compared["sentences"])
    by_default = program.get("styles/acme/noir/compare").json()
    assert by_default["second"]["version"]["number"] == 3
    assert (by_default["second"]["card"], by_default["samples"], by_default["sentences"]) == (None, [], [])
    problem(program.get("styles/acme/noir/compare?a=9"), 404, "version_not_found")
    problem(program.get("styles/acme/noir/compare?a=x"), 400, "invalid")
    problem(program.get("styles/acme/noir/compare?c=1"), 400, "invalid")


def test_the_files_of_an_own_version_are_downloaded_from_signed_addresses(program, acme, engine, version):
    digests = {"sha256": sha256(b"weights").hexdigest(), "config_sha256": sha256(b"{}").hexdigest()}
    AdapterVersion.objects.filter(pk=version.pk).update(**digests)
    problem(program.post(f"{NOIR}/1/download"), 409, "nothing_to_download")
    object_store.write(version.pk, "adapter_config.json", [b"{}"])
    object_store.write(version.pk, "adapter_model.safetensors", [b"weights"])

    answer = program.post(f"{NOIR}/1/download").json()

    assert answer["model"] == "acme/noir@1"
    for file in answer["files"]:
        with urlopen(file["url"]) as stored:  # it takes no key of ours
            content = stored.read()
        assert (sha256(content).hexdigest(), len(content)) == (file["sha256"], file["size_bytes"])
    assert logged_actions(acme) == ["version.downloaded"]
    AdapterVersion.objects.update(files_gone_at=timezone.now())
    problem(program.post(f"{NOIR}/1/download"), 409, "nothing_to_download")
