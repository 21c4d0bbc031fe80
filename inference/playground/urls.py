from django.urls import path

from inference.playground import blind, views

app_name = "inference"
urlpatterns = [
    path("", views.playground, name="playground"),
    path("stream/", views.stream, name="playground_stream"),
    path("answers.docx", views.download, {"suffix": "docx"}, name="playground_docx"),
    path("answers.html", views.download, {"suffix": "html"}, name="playground_html"),
    path("blind/", blind.show_votes, name="blind"),
    path("blind/rounds/", blind.begin, name="begin_round"),
    path("blind/rounds/<uuid:round_id>/<slug:side>/stream/", blind.stream_side, name="stream_side"),
    path("blind/rounds/<uuid:round_id>/vote/", blind.vote, name="cast_vote"),
]
