"""Addresses of the styles' pages, under /styles/."""

from django.urls import path

from adapters.views import catalog, erasure, evidence, releases, style, uploads

app_name = "adapters"

urlpatterns = [
    path("", catalog.catalogue, name="catalogue"),
    path("new/", uploads.upload, name="upload"),
    path("versions/", uploads.create_version, name="create_version"),
    path("versions/<uuid:version_id>/finish/", uploads.finish, name="finish"),
    path("versions/<uuid:version_id>/steps/", uploads.steps, name="steps"),
    path("versions/<uuid:version_id>/cancel/", uploads.cancel, name="cancel"),
    path("versions/<uuid:version_id>/retry/", uploads.retry, name="retry"),
    path("versions/<uuid:version_id>/convert/", uploads.convert, name="convert"),
    path("versions/<uuid:version_id>/retire/", releases.retire, name="retire"),
    path("versions/<uuid:version_id>/promote/", releases.promote, name="promote"),
    path("versions/<uuid:version_id>/canary/", releases.begin_canary, name="begin_canary"),
    path("<uuid:style_id>/canary/", releases.canary, name="canary"),
    path("<uuid:style_id>/end-canary/", releases.end_canary, name="end_canary"),
    path("<uuid:style_id>/roll-back/", releases.roll_back, name="roll_back"),
    path("versions/<uuid:version_id>/erasure/", erasure.version_erasure, name="version_erasure"),
    path("versions/<uuid:version_id>/erasure.<str:form>", erasure.download, name="erasure_download"),
    path("versions/<uuid:version_id>/erase/", erasure.erase_version, name="erase_version"),
    path("versions/<uuid:version_id>/evidence/", evidence.show_live, name="evidence"),
    path("deleted/", erasure.deleted, name="deleted"),
    path("<uuid:style_id>/delete/", erasure.delete_style, name="delete_style"),
    path("<uuid:style_id>/about/", style.describe, name="describe"),
    path("<uuid:style_id>/catalogue/<slug:action>/", style.offer, name="offer"),
    path("<uuid:style_id>/price/", style.ask_price, name="ask_price"),
    path("<uuid:style_id>/price/withdraw/", style.withdraw_price, name="withdraw_price"),
    path("<uuid:style_id>/share/", style.share, name="share"),
    path("<uuid:style_id>/leave/", style.leave, name="leave"),
    path("shares/<int:share_id>/<slug:action>/", style.change_share, name="change_share"),
    path("<uuid:style_id>/favourite/", catalog.like, name="like"),
    path("<uuid:style_id>/unfavourite/", catalog.unlike, name="unlike"),
    path("<uuid:style_id>/select/", catalog.select, name="select"),
    path("<uuid:style_id>/unselect/", catalog.unselect, name="unselect"),
    path("<slug:owner>/<slug:slug>/", style.overview, name="style"),
    path("<slug:owner>/<slug:slug>/versions/", style.versions, name="style_versions"),
    path("<slug:owner>/<slug:slug>/usage/", style.usage, name="style_usage"),
    path("<slug:owner>/<slug:slug>/developers/", style.developers, name="style_developers"),
    path("<slug:owner>/<slug:slug>/sharing/", style.share_tab, name="style_sharing"),
    path("<slug:owner>/<slug:slug>/settings/", style.edit_tab, name="style_settings"),
    path("<slug:owner>/<slug:slug>/draft/", evidence.draft, name="check_draft"),
    path("<slug:owner>/<slug:slug>/blind-test/", evidence.guess, name="guess"),
    path("<slug:owner>/<slug:slug>/compare/", releases.compare, name="compare"),
    path("<slug:owner>/<slug:slug>/compare/answers/", releases.answers, name="compare_answers"),
]
