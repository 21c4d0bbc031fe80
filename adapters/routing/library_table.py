"""The libraries: which styles a workspace may use, and by what right. Each workspace has a hash of its own.

A model name leads to `own`, `shared` (it is selected, and its owner shares it) or `selected` (which counts
while the style is public). Where the name leads, and whether the style serves, is retired or suspended is in
the style's row, which is one for all (style_table.py).
"""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from uuid import UUID

from django.db.models import Exists, OuterRef

from adapters.models import Selection, Share, Style
from adapters.models.styles import model_name_of
from core import valkey

WRITE_LIBRARY = (Path(__file__).parent / "write_library.lua").read_text()
OWN, SHARED, SELECTED = "own", "shared", "selected"

type Library = dict[str, str]  # model name → right


def read_libraries(tenant_ids: Collection[UUID]) -> dict[UUID, Library]:
    """Return tenant → what it may use, as the rows in PostgreSQL say; two queries."""
    libraries: dict[UUID, Library] = defaultdict(dict)
    in_force = Share.objects.in_force().filter(style=OuterRef("style"), tenant=OuterRef("tenant"))
    selections = Selection.objects.filter(tenant__in=tenant_ids).annotate(is_shared=Exists(in_force))
    style = ("style__slug", "style__owner__slug", "style__owner__is_first_party")
    for tenant_id, is_shared, slug, owner, is_first_party in selections.values_list(
        "tenant", "is_shared", *style
    ):
        name = model_name_of(slug, owner, is_first_party=is_first_party)
        libraries[tenant_id][name] = SHARED if is_shared else SELECTED
    own = Style.objects.filter(owner__in=tenant_ids)
    for tenant_id, slug, owner, is_first_party in own.values_list(
        "owner", "slug", "owner__slug", "owner__is_first_party"
    ):
        name = model_name_of(slug, owner, is_first_party=is_first_party)
        libraries[tenant_id][name] = OWN
    return libraries


def write_libraries(libraries: dict[UUID, Library], generations: dict[UUID, int]) -> dict[UUID, int]:
    """Write libraries that were read after these generations of their tenants, each in one step.

    Returns tenant → newer generation of those that Valkey refused, since it has a later change of them.
    """
    write = valkey.client().register_script(WRITE_LIBRARY)
    pipeline = valkey.client().pipeline(transaction=False)
    for tenant_id, generation in generations.items():
        arguments: list[str | int] = [generation]
        for name, right in libraries.get(tenant_id, {}).items():
            arguments += [name, right]
        write([valkey.library_key(tenant_id)], arguments, client=pipeline)
    answers = dict(zip(generations, pipeline.execute(), strict=True))
    return {tenant_id: newer for tenant_id, newer in answers.items() if newer}
