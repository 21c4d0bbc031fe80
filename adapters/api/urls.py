"""Addresses of the management API about styles, under /api/v1/."""

from django.urls import path, register_converter

from adapters.api import (
    erasures,
    evaluations,
    price_changes,
    releases,
    sharing,
    styles,
    uploads,
    versions,
)
from adapters.api.addresses import StyleConverter

register_converter(StyleConverter, "style")

STYLE = "styles/<style:style>"
VERSION = f"{STYLE}/versions/<int:number>"

urlpatterns = [
    path("styles", styles.StylesView.as_view(), name="styles"),
    path(STYLE, styles.StyleView.as_view(), name="style"),
    path(f"{STYLE}/selection", styles.SelectionView.as_view(), name="selection"),
    path(f"{STYLE}/offer", styles.OfferView.as_view(), name="offer"),
    path(f"{STYLE}/price", price_changes.PriceView.as_view(), name="price"),
    path(f"{STYLE}/shares", sharing.SharesView.as_view(), name="shares"),
    path(f"{STYLE}/shares/<slug:workspace>", sharing.ShareView.as_view(), name="share"),
    path(f"{STYLE}/versions", versions.VersionsView.as_view(), name="versions"),
    path(VERSION, versions.VersionView.as_view(), name="version"),
    path(f"{VERSION}/report", versions.ReportView.as_view(), name="report"),
    path(f"{VERSION}/autofix", versions.AutofixView.as_view(), name="autofix"),
    path(f"{VERSION}/retry", versions.RetryView.as_view(), name="retry"),
    path(f"{VERSION}/retire", versions.RetireView.as_view(), name="retire"),
    path(f"{VERSION}/download", versions.DownloadView.as_view(), name="download_version"),
    path(f"{VERSION}/promote", releases.PromoteView.as_view(), name="promote"),
    path(f"{VERSION}/card", versions.CardView.as_view(), name="card"),
    path(f"{VERSION}/evaluation", evaluations.EvaluationView.as_view(), name="evaluation"),
    path(f"{STYLE}/draft_checks", evaluations.DraftChecksView.as_view(), name="draft_checks"),
    path(f"{STYLE}/rollback", releases.RollbackView.as_view(), name="rollback"),
    path(f"{STYLE}/canary", releases.CanaryView.as_view(), name="canary"),
    path(f"{STYLE}/compare", versions.CompareView.as_view(), name="compare"),
    path(f"{STYLE}/releases", releases.ReleasesView.as_view(), name="releases"),
    path("erasures", erasures.ErasuresView.as_view(), name="erasures"),
    path("erasures/<uuid:version_id>", erasures.ErasureView.as_view(), name="erasure"),
    path("uploads/<uuid:version_id>", uploads.UploadView.as_view(), name="upload"),
    path("uploads/<uuid:version_id>/finish", uploads.FinishUploadView.as_view(), name="finish_upload"),
    path("uploads/<uuid:version_id>/events", uploads.UploadEventsView.as_view(), name="upload_events"),
]
