"""Static files by WhiteNoise, sent block by block behind an ASGI server."""

from django.http import HttpRequest
from whitenoise.middleware import WhiteNoiseFileResponse, WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from core.streaming import StreamedResponse


class StaticFileResponse(StreamedResponse, WhiteNoiseFileResponse):  # type: ignore[misc]  # it has no types
    """WhiteNoise's answer, which it leaves to Django to read whole, with a warning."""


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]  # likewise
    """WhiteNoise, but for the class of its answers."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> StaticFileResponse:
        """Return the answer for a file as WhiteNoise 6.12 does."""
        found = static_file.get_response(request.method, request.META)
        answer = StaticFileResponse(found.file or (), status=int(found.status))
        del answer["content-type"]
        for name, value in found.headers:
            answer[name] = value
        return answer
