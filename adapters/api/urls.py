"""Addresses of the management API about styles, under /api/v1/."""

from django.urls import register_converter

from adapters.api.addresses import StyleConverter
from adapters.api.erasures import ErasureViewSet
from adapters.api.releases import ComparisonViewSet, DraftViewSet, ReleaseViewSet
from adapters.api.sharing import PriceViewSet, ShareViewSet
from adapters.api.styles import StyleViewSet
from adapters.api.uploads import UploadViewSet
from adapters.api.versions import VersionViewSet

register_converter(StyleConverter, "style")

STYLE = "styles/<style:style>"

urlpatterns = [
    *StyleViewSet.routes("styles", "style"),
    *PriceViewSet.routes(f"{STYLE}/price"),
    *ShareViewSet.routes(f"{STYLE}/shares", "slug"),
    *VersionViewSet.routes(f"{STYLE}/versions", "int"),
    *ReleaseViewSet.routes(STYLE),
    *ComparisonViewSet.routes(STYLE),
    *DraftViewSet.routes(f"{STYLE}/draft_checks"),
    *ErasureViewSet.routes("erasures"),
    *UploadViewSet.routes("uploads"),
]
