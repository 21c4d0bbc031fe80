from django.urls import path

from inference.playground import views

app_name = "inference"
urlpatterns = [
    path("", views.playground, name="playground"),
    path("stream/", views.stream, name="playground_stream"),
]
