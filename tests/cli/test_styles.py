"""Styles: which are selected, what people read of them, and their files."""

import json

import pytest

from adapters.catalog import selection, sharing
from adapters.models import Selection, Style
from tests.adapters.builders import known
from tests.tenants.builders import owner_of


@pytest.fixture
def own(logged_in, acme, polyscribe, engine, poetry) -> Style:
    """A style of one's own, beside one that is selected and one that could be."""
    sharing.set_public(known(polyscribe, "legal", engine).style)
    selection.select_style(owner_of(acme), poetry)
    return known(acme, "brand-voice", engine).style


def selected(tenant) -> list[str]:
    return list(Selection.objects.filter(tenant=tenant).values_list("style__slug", flat=True))


def test_the_list_says_which_styles_are_selected_and_how_to_select_another(logged_in, own):
    done = logged_in("styles")

    rows = {line.split()[0]: line.split() for line in done.out.splitlines()}
    assert "SELECTED" in rows["STYLE"]
    assert (rows["poetry"][2], rows["legal"][2], rows["acme/brand-voice"][2]) == ("yes", "no", "own")
    assert "polyscribe select legal" in done.err
    assert logged_in("styles", "list").out == done.out


def test_only_what_can_be_written_in_is_listed_when_asked(logged_in, own):
    models = {style["model"] for style in logged_in("styles", "--selected", "--json").json}

    assert models == {"poetry", "acme/brand-voice"}


def test_a_style_is_selected_and_unselected_by_what_model_takes(logged_in, own, acme):
    done = logged_in("select", "legal")
    assert "polyscribe chat --style legal" in done.out
    assert "legal" in selected(acme)

    assert logged_in("unselect", "legal").code == 0
    assert "legal" not in selected(acme)

    assert "is your own" in logged_in("select", "brand-voice").out
    assert logged_in("unselect", "brand-voice").code == 2
    missing = logged_in("select", "nobody")
    assert missing.code == 1
    assert "polyscribe styles" in missing.err


def test_what_people_read_is_edited_and_the_rest_stays(logged_in, own):
    done = logged_in("styles", "edit", "brand-voice", "--description", "To customers.", "--tag", "mail")

    assert done.code == 0
    own.refresh_from_db()
    assert (own.name, own.description, own.tags) == ("Brand-Voice", "To customers.", ["mail"])


def test_a_style_is_deleted_once_it_is_confirmed(logged_in, own):
    assert logged_in("styles", "delete", "brand-voice").code == 2
    own.refresh_from_db()
    assert own.retired_at is None

    assert logged_in("styles", "delete", "brand-voice", "--yes").code == 0
    assert "acme/brand-voice" not in logged_in("styles").out


def test_the_files_of_a_version_are_downloaded_and_verified(logged_in, adapter, tmp_path):
    assert logged_in("push", adapter, "--style", "brand-voice").code == 0
    target = tmp_path / "copy"

    done = logged_in("styles", "download", "brand-voice", "--to", target, "--json")

    assert done.json["version"] == 1
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (target / name).read_bytes() == (adapter / name).read_bytes()
    assert json.loads((target / "adapter_config.json").read_text())
    again = logged_in("styles", "download", "brand-voice", "1", "--to", target)
    assert again.code == 2
    assert "--force" in again.err


def test_a_file_that_arrives_damaged_is_not_kept(logged_in, service, adapter, tmp_path):
    logged_in("push", adapter, "--style", "brand-voice")
    service.damage = b"more"
    target = tmp_path / "copy"

    assert logged_in("styles", "download", "brand-voice", "--to", target).code == 1
    assert list(target.iterdir()) == []
