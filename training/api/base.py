"""What the views of trainings share."""

from functools import partial
from uuid import UUID

from django.conf import settings
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.models import Scope
from tenants.public import Access
from tenants.rest import WorkspaceView, operation
from training.actions import Action
from training.api.presenters import present_training
from training.errors import TrainingOff
from training.models import Training

read_operation = partial(operation, scope=Scope.STYLES_READ, tag="trainings")
write_operation = partial(operation, scope=Scope.STYLES_WRITE, tag="trainings")


class TrainingApiView(WorkspaceView):
    """A view of trainings."""

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Raise TrainingOff where this service trains nothing."""
        super().initial(request, *args, **kwargs)
        if not settings.TRAINING:
            raise TrainingOff

    def act(self, training_id: UUID, action: Action) -> Response:
        """Take an action on one of the workspace's trainings, and answer with it as it is then."""
        training = find_training(self.access, training_id)
        action(self.access, training)
        return self.answer_training(training)

    def answer_training(self, training: Training, *, status: int = 200) -> Response:
        """Answer with a training as it is now."""
        training.refresh_from_db()
        return self.answer_object(present_training(training), status=status)


def find_training(access: Access, training_id: UUID) -> Training:
    """Return one of the workspace's trainings. Raises Http404."""
    trainings = Training.objects.select_related("tenant", "created_by", "version__style__owner")
    trainings = trainings.select_related(
        "evaluated_version__style__owner", "evaluation__version__style__owner"
    )
    return get_object_or_404(trainings, pk=training_id, tenant=access.tenant)
