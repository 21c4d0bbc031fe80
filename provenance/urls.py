"""The page that checks a text, the keys that verify receipts; `api_urls` are below /v1/."""

from django.urls import path

from provenance import views

app_name = "provenance"

urlpatterns = [
    path("verify/", views.verify, name="verify"),
    path("receipts/<slug:answer_id>/", views.download_receipt, name="receipt"),
    path(".well-known/receipt-keys.json", views.show_keys, name="receipt_keys"),
]
