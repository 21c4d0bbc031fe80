from django.conf import settings
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from website import api_schema, guides, js_catalog, mailbox, member_home, pages, welcome

handler400 = "website.pages.bad_request"
handler404 = "website.programs.not_found"
handler500 = "website.pages.server_error"

urlpatterns = [
    path("", pages.home, name="home"),
    path("home/", member_home.show_home, name="member_home"),
    path("home/developers/", member_home.show_developers, name="home_developers"),
    path("home/engine/", member_home.show_engine, name="engine_state"),
    path("home/hide-steps/", member_home.hide_next_steps, name="hide_steps"),
    path("welcome/", welcome.show_welcome, name="welcome"),
    path("welcome/hear/", welcome.try_all, name="try_styles"),
    path("welcome/<uuid:style_id>/choose/", welcome.choose, name="choose_style"),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
    path("robots.txt", pages.robots_txt, name="robots_txt"),
    path("favicon.ico", pages.root_icon, name="favicon"),
    path("apple-touch-icon.png", pages.root_icon, name="touch_icon"),
    path(".well-known/security.txt", pages.security_txt, name="security_txt"),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("config.api_urls")),
    path("v1/", include("provenance.api.urls")),
    path("v1/", include("inference.openai_views.urls")),
    path("v1/", include("training.openai_api.urls")),
    path("", include("provenance.urls")),
    path("api/schema/", api_schema.show_schema, name="api_schema"),
    path("docs/", guides.show_guide, name="guides"),
    path("docs/api/", api_schema.show_reference, name="api_reference"),
    path("docs/api/<slug:group>/", RedirectView.as_view(url="/docs/api/#tag/%(group)s")),  # before 1.0.0
    path("docs/<slug:name>/", guides.show_guide, name="guide"),
    re_path(r"^docs/(?P<name>[\w./-]+\.\w+)$", guides.show_file, name="guide_file"),
    path("words/<slug:language>.js", js_catalog.show_words, name="script_words"),
    path("status/", pages.show_status, name="status"),
    path("terms/", pages.show_terms, name="terms"),
    path("privacy/", pages.show_privacy, name="privacy"),
    path("console/", admin.site.urls),
    path("styles/", include("adapters.urls")),
    path("trainings/", include("training.urls")),
    path("write/", include("drafts.urls")),
    path("playground/", include("inference.playground.urls")),
    path("", include("billing.urls")),
    path("", include("website.urls")),
    path("", include("keys.urls")),
    path("", include("accounts.urls")),
    path("", include("events.urls")),
    path("", include("tenants.urls")),
]

if settings.MAILBOX:
    urlpatterns.append(path("mailbox/", mailbox.mailbox, name="mailbox"))
    urlpatterns.append(path("mailbox/<slug:mail_id>/", mailbox.mail_html, name="mail_html"))
