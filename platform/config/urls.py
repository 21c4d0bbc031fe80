from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from config import api_schema, mailbox, pages

handler500 = "config.pages.server_error"

urlpatterns = [
    path("", pages.home, name="home"),
    path("healthz", pages.healthz, name="healthz"),
    path(".well-known/security.txt", pages.security_txt, name="security_txt"),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("config.api_urls")),
    path("api/schema/", api_schema.show_schema, name="api_schema"),
    path("docs/api/", api_schema.show_reference, name="api_reference"),
    path("console/", admin.site.urls),
    path("styles/", include("adapters.urls")),
    path("playground/", include("inference.playground.urls")),
    path("", include("tenants.urls")),
]

if settings.MAILBOX:
    urlpatterns.append(path("mailbox/", mailbox.mailbox, name="mailbox"))
    urlpatterns.append(path("mailbox/<slug:mail_id>/", mailbox.mail_html, name="mail_html"))
