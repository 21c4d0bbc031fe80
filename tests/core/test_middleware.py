"""Middleware of steps does the same in a thread and in the event loop."""

import threading
from functools import partial

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.utils import translation

from core.middleware import in_steps


@in_steps
def shown(request):
    """Refuse `/no`; of others, write down what came before and after, and in which thread."""
    if request.path == "/no":
        return HttpResponse("refused")
    request.asked_in = yield threading.get_ident
    with translation.override(request.path[1:]):
        response = yield None
    response.headers["X-After"] = yield partial(str.upper, "after")
    return response


def view(request):
    return HttpResponse(translation.get_language())


async def async_view(request):
    return view(request)


def answer_in_thread(request):
    return shown(view)(request)


def answer_in_loop(request):
    return async_to_sync(shown(async_view))(request)


@pytest.mark.parametrize("answer", [answer_in_thread, answer_in_loop])
def test_steps_stand_around_the_view(answer, rf):
    request = rf.get("/de")
    response = answer(request)
    assert (response.text, response["X-After"]) == ("de", "AFTER")
    assert request.asked_in == threading.get_ident()  # Django's one thread for what queries
    assert translation.get_language() == "en"


@pytest.mark.parametrize("answer", [answer_in_thread, answer_in_loop])
def test_a_response_before_the_view_is_the_answer(answer, rf):
    assert answer(rf.get("/no")).text == "refused"


@pytest.mark.parametrize("answer", [answer_in_thread, answer_in_loop])
def test_what_the_steps_opened_is_closed_if_the_view_fails(answer, rf, monkeypatch):
    monkeypatch.setattr("tests.core.test_middleware.HttpResponse", None)
    with pytest.raises(TypeError):
        answer(rf.get("/de"))
    assert translation.get_language() == "en"
