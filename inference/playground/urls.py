from django.urls import path

from inference.playground import blind, views

app_name = "inference"
urlpatterns = [
    path("", views.playground, name="playground"),
    path("stream/", views.stream, name="playground_stream"),
    path("answers.<slug:suffix>", views.download, name="playground_file"),
    path("blind/", blind.show_votes, name="blind"),
    path("blind/rounds/", blind.begin, name="begin_round"),
    path("blind/rounds/<uuid:round_id>/<slug:side>/stream/", blind.stream_side, name="stream_side"),
    path("blind/rounds/<uuid:round_id>/vote/", blind.vote, name="cast_vote"),
]
