"""Addresses of stored responses and conversations below /v1/. config/asgi.py brings them here."""

from django.urls import path, re_path

from inference.openai_views import stored_views
from inference.openai_views.base import answer_unknown

app_name = "stored"

CONVERSATION = "conversations/<str:conversation_id>"

urlpatterns = [
    path("responses/<str:response_id>", stored_views.ResponseView.as_view(), name="response"),
    path("responses/<str:response_id>/cancel", stored_views.CancelView.as_view(), name="cancel"),
    path(
        "responses/<str:response_id>/input_items", stored_views.InputItemsView.as_view(), name="input_items"
    ),
    path("conversations", stored_views.ConversationsView.as_view(), name="conversations"),
    path(CONVERSATION, stored_views.ConversationView.as_view(), name="conversation"),
    path(f"{CONVERSATION}/items", stored_views.ItemsView.as_view(), name="items"),
    path(f"{CONVERSATION}/items/<str:item_id>", stored_views.ItemView.as_view(), name="item"),
    re_path("^(?:conversations|responses)", answer_unknown),
]
