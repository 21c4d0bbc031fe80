"""Operations on one kind of a workspace's objects: what they have in common is said here, once.

A viewset names its objects, their scope and its operations, and calls actions. From that follow each
operation's name, parameters, answers and errors in the OpenAPI document, its address, its transaction,
`If-Match` for changes and `Idempotency-Key` for POST. Where REST framework has a name, it is used.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSetMixin

from core.rest.bodies import StrictSerializer
from tenants.api.schema import operation
from tenants.api.views import WorkspaceView, idempotent
from tenants.models import Scope

# Action → method, the operation's name, its summary.
OF_ALL = {"list": ("get", "list", "List {nouns}"), "create": ("post", "create", "Create a {noun}")}
OF_ONE = {
    "retrieve": ("get", "get", "Get a {noun}"),
    "partial_update": ("patch", "edit", "Update a {noun}"),
    "destroy": ("delete", "delete", "Delete a {noun}"),
}

type Handler = Callable[..., Any]


def post(summary: str, **facts: Any) -> Callable[[Handler], Handler]:
    """Return a decorator for a method that is a POST below one object's address, under its own name.

    It takes the object, and returns the one that the answer shows, or that and further fields. `facts`: as
    `operation` takes them.
    """

    def describe(handler: Handler) -> Handler:
        handler.facts = {"summary": summary, **facts}  # type: ignore[attr-defined]
        return handler

    return describe


class WorkspaceViewSet(ViewSetMixin, WorkspaceView):
    """The operations on one kind of objects."""

    tag: ClassVar[str]  # the first part of the operations' names
    noun: ClassVar[str]
    nouns: ClassVar[str]
    scope: ClassVar[Scope]
    operations: ClassVar[dict[str, str]]  # standard actions, and what each is said to do
    names: ClassVar[dict[str, str]] = {}  # action → the operation's name, where it is not the usual one
    queryset: ClassVar[QuerySet[Any]]
    serializer_class: ClassVar[type[serializers.Serializer[Any]]]
    created_class: ClassVar[type[serializers.Serializer[Any]]]  # what a new object is shown as
    new_body: ClassVar[type[StrictSerializer]]
    body: ClassVar[type[StrictSerializer]]  # of an edit
    query: ClassVar[type[StrictSerializer] | None] = None  # of the list; its values are look-ups
    lookup_field = "pk"
    lookup_url_kwarg: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Describe each operation, and wrap it in what its method needs."""
        super().__init_subclass__()
        for action, says in cls.operations.items():
            method, name, summary = (OF_ALL | OF_ONE)[action]
            facts = cls._facts_of(action)
            facts["summary"] = summary.format(noun=cls.noun, nouns=cls.nouns)
            handler = _copy(getattr(cls, action), says)
            setattr(cls, action, cls._describe(cls.names.get(action, name), method, handler, facts))
        for action in cls._posts():
            handler = vars(cls)[action]
            facts = {"answer": cls.serializer_class, **handler.facts}
            answering = _answer_with(handler, facts["answer"], facts.get("status", 200))
            setattr(cls, action, cls._describe(action, "post", answering, facts))

    @classmethod
    def _facts_of(cls, action: str) -> dict[str, Any]:
        """Return what is so of each standard action."""
        match action:
            case "list":
                return {"is_page": True, "query": cls.query}
            case "create":
                return {"body": cls.new_body, "answer": cls.created_class, "status": 201}
            case "partial_update":
                return {"body": cls.body, "is_edit": True}
            case "destroy":
                return {"answer": None, "status": 204, "is_edit": True}
        return {}

    @classmethod
    def routes(cls, prefix: str, converter: str = "uuid") -> Sequence[URLPattern]:
        """Return the addresses of all operations."""
        one = f"{prefix}/<{converter}:{cls.lookup_url_kwarg}>"
        base = cls.noun.replace(" ", "-")
        routes = []
        for address, standard, name in ((prefix, OF_ALL, "list"), (one, OF_ONE, "detail")):
            actions: dict[str, Any] = {}
            for action in cls.operations:
                if action in standard:
                    actions[standard[action][0]] = action
            if actions:
                routes.append(path(address, cls.as_view(actions), name=f"{base}-{name}"))
        for action in cls._posts():
            routes.append(path(f"{one}/{action}", cls.as_view({"post": action}), name=f"{base}-{action}"))
        return routes

    @classmethod
    def _posts(cls) -> Sequence[str]:
        return [name for name, held in vars(cls).items() if hasattr(held, "facts")]

    @classmethod
    def _describe(cls, name: str, method: str, handler: Handler, facts: dict[str, Any]) -> Handler:
        """Return a handler that is described and wrapped."""
        facts = {"answer": cls.serializer_class, "tag": cls.tag, **facts}
        body = facts.get("body")
        facts.setdefault("body_example", getattr(body, "example", None))
        if method == "post":
            handler = idempotent(handler)
            facts["is_post"] = True
        elif method != "get":
            handler = transaction.atomic(handler)
        full_name = name if "." in name else f"{cls.tag}.{name}"
        return operation(full_name, scope=cls.scope, **facts)(handler)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the objects that the caller may name: those of the workspace."""
        return self.queryset.filter(tenant=self.access.tenant)

    def get_object(self, *, is_locked: bool = False) -> Any:
        """Return the object that the address names. Raises Http404."""
        rows = self.get_queryset()
        if is_locked:
            rows = rows.select_for_update(no_key=True)
        return get_object_or_404(rows, **{self.lookup_field: self.kwargs[self.lookup_url_kwarg]})

    def present(self, row: Any) -> dict[str, object]:
        """Return an object as the API shows it."""
        return dict(self.serializer_class(row).data)

    def perform_create(self, body: dict[str, Any]) -> Any:
        """Call the action that makes an object; return it, or it and further fields."""
        raise NotImplementedError

    def perform_update(self, row: Any, changes: dict[str, Any]) -> None:
        """Call the action that edits an object."""
        raise NotImplementedError

    def perform_destroy(self, row: Any) -> None:
        """Call the action that deletes an object."""
        raise NotImplementedError

    def list(self, request: Request, **_: Any) -> Response:
        """Return one page of the objects."""
        rows = self.get_queryset()
        if self.query:
            rows = rows.filter(**self.read_query(self.query))
        return self.answer_page(rows, lambda page: [self.present(row) for row in page])

    def create(self, request: Request, **_: Any) -> Response:
        """Return a new object."""
        row, further = _split(self.perform_create(self.read_body(self.new_body)))
        return self.answer_object({**self.present(row), **further}, status=201)

    def retrieve(self, request: Request, **_: Any) -> Response:
        """Return one object."""
        return self.answer_object(self.present(self.get_object()))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Edit an object that is still as the caller read it."""
        row = self.get_object(is_locked=True)
        self.require_match(self.present(row))
        changes = self.read_body(self.body)
        if changes:
            self.perform_update(row, changes)
        return self.answer_object(self.present(row))

    def destroy(self, request: Request, **_: Any) -> Response:
        """Delete an object that is still as the caller read it."""
        row = self.get_object(is_locked=True)
        self.require_match(self.present(row))
        self.perform_destroy(row)
        return Response(status=204)


def _split(returned: Any) -> tuple[Any, dict[str, object]]:
    return returned if isinstance(returned, tuple) else (returned, {})


def _copy(handler: Handler, says: str) -> Handler:
    """Return a handler of one class alone, which says what it does there."""

    @wraps(handler)
    def handle(view: WorkspaceViewSet, request: Request, **ids: Any) -> Any:
        return handler(view, request, **ids)

    handle.__doc__ = says
    return handle


def _answer_with(handler: Handler, shape: type[serializers.Serializer[Any]], status: int) -> Handler:
    """Return a handler of requests that calls one of objects, and shows what it returns."""

    @wraps(handler)
    def handle(view: WorkspaceViewSet, request: Request, **_: Any) -> Response:
        row, further = _split(handler(view, view.get_object()))
        data = {**view.present(row), **further} if further else dict(shape(row).data)
        return view.answer_object(data, status=status)

    return handle
