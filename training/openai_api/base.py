"""What the views of files and jobs share."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request

from inference.openai_views.base import OpenAiView
from inference.public import UnknownPath


class TrainingView(OpenAiView):
    """A view of files or jobs, which are there only where the service trains."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer as any unknown address where this service trains nothing."""
        if not settings.TRAINING:
            raise UnknownPath
        super().initial(request, *args, **kwargs)
