"""Addresses of the pages of trainings, under /trainings/."""

from django.urls import path

from training import actions
from training.views import cost, drafts, progress, review, texts

app_name = "training"

TRAINING = "<uuid:training_id>/"
DOCUMENT = f"{TRAINING}documents/<uuid:document_id>/"

urlpatterns = [
    path("", drafts.list_trainings, name="list"),
    path("new/", drafts.new, name="new"),
    path("versions/<uuid:version_id>/check/", texts.create, name="new_evaluation"),
    path(TRAINING, drafts.show, name="show"),
    path(f"{TRAINING}rename/", texts.rename, name="rename"),
    path(f"{TRAINING}delete/", drafts.delete, name="delete"),
    path(f"{TRAINING}texts/", texts.show, name="texts"),
    path(f"{TRAINING}texts/add/", texts.add, name="add_texts"),
    path(f"{TRAINING}texts/sample/", texts.add_sample, name="add_sample"),
    path(f"{TRAINING}documents/", texts.show_documents, name="documents"),
    path(f"{TRAINING}documents/announce/", texts.announce, name="announce_documents"),
    path(f"{TRAINING}documents/finish/", texts.finish, name="finish_documents"),
    path(f"{DOCUMENT}leave-out/", texts.leave_out, name="leave_out_document"),
    path(f"{DOCUMENT}delete/", texts.delete_document, name="delete_document"),
    path(f"{TRAINING}prepare/", texts.prepare, name="prepare"),
    path(f"{TRAINING}review/", review.show, name="review"),
    path(f"{TRAINING}review/preparing/", review.show_preparing, name="preparing"),
    path(f"{TRAINING}review/leave-out/", review.leave_out_passages, name="leave_out_passages"),
    path(f"{TRAINING}cost/", cost.show, name="cost"),
    path(f"{TRAINING}start/", cost.start, name="start"),
    path(f"{TRAINING}check/", texts.show_start, name="check"),
    path(f"{TRAINING}evaluate/", texts.evaluate, name="evaluate"),
    path(f"{TRAINING}progress/", progress.show, name="progress"),
    path(f"{TRAINING}progress/live/", progress.show_live, name="live"),
    path(f"{TRAINING}pause/", progress.act, {"action": actions.pause_training}, name="pause"),
    path(f"{TRAINING}resume/", progress.act, {"action": actions.resume_training}, name="resume"),
    path(f"{TRAINING}cancel/", progress.act, {"action": actions.cancel_training}, name="cancel"),
    path(f"{TRAINING}delete-texts/", progress.delete_texts, name="delete_texts"),
]
