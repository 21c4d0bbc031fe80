"""Addresses of the styles' pages, under /styles/."""

from django.urls import path

from adapters.views import catalogue, releases, uploads

app_name = "adapters"

urlpatterns = [
    path("", catalogue.catalogue, name="catalogue"),
    path("new/", uploads.upload, name="upload"),
    path("versions/", uploads.create_version, name="create_version"),
    path("versions/<uuid:version_id>/finish/", uploads.finish, name="finish"),
    path("versions/<uuid:version_id>/steps/", uploads.steps, name="steps"),
    path("versions/<uuid:version_id>/retry/", uploads.retry, name="retry"),
    path("versions/<uuid:version_id>/retire/", releases.retire, name="retire"),
    path("<uuid:style_id>/select/", catalogue.select, name="select"),
    path("<uuid:style_id>/unselect/", catalogue.unselect, name="unselect"),
    path("<slug:owner>/<slug:slug>/", catalogue.style, name="style"),
]
