from django.urls import path

from inference.playground import views

app_name = "inference"
urlpatterns = [
    path("", views.playground, name="playground"),
    path("stream/", views.stream, name="playground_stream"),
    path("answers.docx", views.download, {"suffix": "docx"}, name="playground_docx"),
    path("answers.html", views.download, {"suffix": "html"}, name="playground_html"),
    path("blind/", views.show_votes, name="blind"),
    path("blind/rounds/", views.begin, name="begin_round"),
    path("blind/rounds/<uuid:round_id>/<slug:side>/stream/", views.stream_side, name="stream_side"),
    path("blind/rounds/<uuid:round_id>/vote/", views.vote, name="cast_vote"),
]
