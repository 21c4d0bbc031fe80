"""Addresses of the styles' pages, under /styles/."""

from django.urls import path

from adapters import views

app_name = "adapters"

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("new/", views.upload, name="upload"),
    path("versions/", views.create_version, name="create_version"),
    path("versions/<uuid:version_id>/finish/", views.finish, name="finish"),
    path("versions/<uuid:version_id>/steps/", views.steps, name="steps"),
    path("versions/<uuid:version_id>/retry/", views.retry, name="retry"),
    path("versions/<uuid:version_id>/retire/", views.retire, name="retire"),
    path("<uuid:style_id>/select/", views.select, name="select"),
    path("<uuid:style_id>/unselect/", views.unselect, name="unselect"),
    path("<slug:owner>/<slug:slug>/", views.style, name="style"),
]
