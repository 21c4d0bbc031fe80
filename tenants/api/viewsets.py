"""Operations on one kind of a workspace's objects: what they have in common is said here, once.

A viewset names its objects, their scope and its operations, and calls actions. From that follow each
operation's name, parameters, answers and errors in the OpenAPI document, its address, its transaction,
`If-Match` for changes and `Idempotency-Key` for POST. Where REST framework has a name, it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSetMixin

from core.rest.bodies import StrictSerializer
from core.rest.objects import present
from tenants.api.schema import Operation, describe
from tenants.api.views import WorkspaceView, idempotent, repeatable
from tenants.models import Scope, Tenant
from tenants.roles import Permission

# Standard action → method, the operation's name, its summary.
STANDARD = {
    "list": ("get", "list", "List {nouns}"),
    "create": ("post", "create", "Create {a_noun}"),
    "retrieve": ("get", "get", "Get {a_noun}"),
    "update": ("put", "set", "Update {a_noun}"),
    "partial_update": ("patch", "edit", "Update {a_noun}"),
    "destroy": ("delete", "delete", "Delete {a_noun}"),
}
type Facts = dict[str, Any]
type Handler = Callable[..., Any]
type Shape = type[serializers.Serializer[Any]]


def described(**facts: Any) -> Callable[[Handler], Handler]:
    """Return a decorator for a standard action that is not quite the usual one. `facts`: as for `action`."""

    def describe(handler: Handler) -> Handler:
        handler.facts = facts  # type: ignore[attr-defined]
        return handler

    return describe


def action(method: str, summary: str, **facts: Any) -> Callable[[Handler], Handler]:
    """Return a decorator for a method that is an operation beside the standard ones.

    `facts`: those of `Operation`. `url_path` and `name` are the method's name unless said otherwise.
    """
    return described(method=method, summary=summary, **facts)


get = partial(action, "get")
post = partial(action, "post")
put = partial(action, "put")
delete = partial(action, "delete")


class WorkspaceViewSet(ViewSetMixin, WorkspaceView):
    """The operations on one kind of objects, or on the one object of a kind that a workspace has.

    The latter has no `lookup_url_kwarg`; if it isn't the workspace itself, it has a `get_object` of its own.

    An operation is a method: a standard action by its name, or an `action`. Its docstring says what it does.
    It takes the object that the address names, if any, which is still as the caller read it, and the checked
    body or query, if any; a list's query is read by `filter_queryset`. It returns what the answer shows: an
    object, or that and further fields; the rows of a list; or a whole response. Nothing: the object that the
    address names, as it is now. `reads` are the standard actions that need no method of their own.
    """

    tag: ClassVar[str]
    resource: ClassVar[str] = ""  # the first part of the operations' names, where it is not the tag
    noun: ClassVar[str] = ""  # with "the" where there is only one
    nouns: ClassVar[str] = ""
    scope: ClassVar[Scope | None]
    read_scope: ClassVar[Scope | None]  # of GETs, where it is another one
    needs: ClassVar[Permission | None] = None  # what a person must be allowed for all but GETs
    reads: ClassVar[Mapping[str, str | tuple[str, Facts]]] = {}  # list, retrieve: what each is said to do
    queryset: ClassVar[QuerySet[Any]]
    serializer_class: ClassVar[Shape]
    created_class: ClassVar[Shape]  # what a new object is shown as, where that is more
    new_body: ClassVar[type[StrictSerializer]]
    body: ClassVar[type[StrictSerializer]]  # of an edit
    query: ClassVar[type[StrictSerializer] | None] = None  # of the list; its values are look-ups
    lookup_field = "pk"
    lookup_url_kwarg: ClassVar[str] = ""
    operations: ClassVar[dict[str, Operation]] = {}  # by action

    def __init_subclass__(cls) -> None:
        """Describe each operation, and wrap it in what its method needs."""
        super().__init_subclass__()
        cls.operations = {}
        for name, said in cls.reads.items():
            says, facts = (said, {}) if isinstance(said, str) else said
            setattr(cls, name, described(**facts)(_copy(getattr(cls, name), says)))
        for name, handler in list(vars(cls).items()):
            if name in STANDARD or hasattr(handler, "facts"):
                cls.operations[name] = cls._complete(name, getattr(handler, "facts", {}))
                setattr(cls, name, describe(_wrap(handler, cls.operations[name]), cls.operations[name]))

    @classmethod
    def _complete(cls, action: str, own_facts: Facts) -> Operation:
        """Return everything that is so of an operation."""
        shape = getattr(cls, "serializer_class", None)
        facts: Facts = {"tag": cls.tag, "name": action, "url_path": action, "answer": shape}
        if action in STANDARD:
            facts |= cls._standard_facts(action)
        facts |= own_facts
        is_read = facts["method"] == "get"
        facts.setdefault("scope", getattr(cls, "read_scope", cls.scope) if is_read else cls.scope)
        facts.setdefault("needs", None if is_read else cls.needs)
        facts.setdefault("status", 200 if facts["answer"] or facts.get("others") else 204)
        facts.setdefault("is_post", facts["method"] == "post")
        if facts.get("is_repeatable"):
            facts |= {"is_edit": False, "is_locked": False}
        return Operation(**facts | {"name": f"{cls.resource or cls.tag}.{facts['name']}"})

    @classmethod
    def _standard_facts(cls, action: str) -> Facts:
        method, name, summary = STANDARD[action]
        summary = summary.format(a_noun=_with_article(cls.noun), nouns=cls.nouns)
        facts: Facts = {"method": method, "name": name, "summary": summary, "url_path": ""}
        match action:
            case "list":
                facts |= {"detail": False, "is_page": True, "query": cls.query, "is_filtered": True}
            case "create":
                shape = getattr(cls, "created_class", cls.serializer_class)
                facts |= {"detail": False, "body": cls.new_body, "answer": shape, "status": 201}
            case "update" | "partial_update":
                facts |= {"body": cls.body, "is_edit": True, "is_locked": True}
            case "destroy":
                facts |= {"answer": None, "is_edit": True, "is_locked": True}
        return facts

    @classmethod
    def routes(cls, prefix: str, converter: str = "uuid") -> Sequence[URLPattern]:
        """Return the addresses of all operations. Those of one object come last: it may have any name."""
        one = f"{prefix}/<{converter}:{cls.lookup_url_kwarg}>" if cls.lookup_url_kwarg else prefix
        actions: dict[str, dict[str, Any]] = {}  # address → method → action
        for action, operation in sorted(cls.operations.items(), key=lambda item: item[1].detail):
            below = f"/{operation.url_path}" if operation.url_path else ""
            address = f"{one if operation.detail else prefix}{below}"
            actions.setdefault(address, {})[operation.method] = action
        routes = []
        for address, by_method in actions.items():
            first = cls.operations[next(iter(by_method.values()))]
            routes.append(path(address, cls.as_view(by_method, **first.view_options), name=first.name))
        return routes

    def get_queryset(self) -> QuerySet[Any]:
        """Return the objects that the caller may name: those of the workspace."""
        return self.queryset.filter(tenant=self.access.tenant)

    def get_object(self, *, is_locked: bool = False) -> Any:
        """Return the object that the address names, or the workspace if it names none. Raises Http404."""
        if not self.lookup_url_kwarg:
            tenant = self.access.tenant
            if is_locked:
                tenant.refresh_from_db(from_queryset=Tenant.objects.select_for_update(no_key=True))
            return tenant
        rows = self.get_queryset()
        if is_locked:
            rows = rows.select_for_update(no_key=True, of=("self",))
        return get_object_or_404(rows, **{self.lookup_field: self.kwargs[self.lookup_url_kwarg]})

    def find_parent(self) -> None:
        """Find what a new object will belong to, if the address names it. Raises Http404."""

    def present(self, row: Any) -> dict[str, object]:
        """Return an object as the API shows it."""
        return present(self.serializer_class, row)

    def present_page(self, rows: list[Any]) -> list[dict[str, object]]:
        """Return the objects of one page as the API shows them."""
        return [self.present(row) for row in rows]

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of the objects that the query names."""
        return rows.filter(**self.read_query(self.query)) if self.query else rows

    def list(self) -> Any:
        """Return the objects, page by page."""
        return self.filter_queryset(self.get_queryset())

    def retrieve(self, row: Any) -> Any:
        """Return one object."""
        return row

    def answer(self, returned: Any, operation: Operation) -> HttpResponseBase:
        """Return the response to an operation, which returned what it shows."""
        shape = operation.answer
        if isinstance(returned, HttpResponseBase):
            return returned
        if shape is None:
            return Response(status=operation.status)
        if returned is None:
            returned = self.get_object()
        if operation.is_page:
            return self.answer_page(returned, self.present_page)
        if isinstance(returned, tuple):
            row, further = returned
            data = {**self.present(row), **further}
        elif shape is getattr(self, "serializer_class", None):
            data = self.present(returned)
        else:
            data = present(shape, returned)
        return self.answer_object(data, status=operation.status)


def _wrap(handler: Handler, operation: Operation) -> Handler:
    """Return a handler of requests: it finds what a method takes, in its transaction, and shows what it
    returns."""

    @wraps(handler)
    def handle(view: WorkspaceViewSet, request: Request, **_: Any) -> Any:
        taken: list[Any] = []
        if operation.detail:
            taken.append(view.get_object(is_locked=operation.is_locked))
        elif operation.body:  # so that a stranger's parent is a 404, whatever the body says
            view.find_parent()
        if operation.is_edit:
            view.require_match(view.present(taken[0]))
        if operation.body:
            taken.append(view.read_body(operation.body))
        if operation.query and not operation.is_filtered:
            taken.append(view.read_query(operation.query))
        return view.answer(handler(view, *taken), operation)

    if operation.is_repeatable:
        return repeatable(handle)
    if operation.method == "post":
        return idempotent(handle)
    return handle if operation.method == "get" else transaction.atomic(handle)


def _copy(handler: Handler, says: str) -> Handler:
    """Return a method for one class alone, which says what it does there."""

    @wraps(handler)
    def copy(view: WorkspaceViewSet, *taken: Any) -> Any:
        return handler(view, *taken)

    copy.__doc__ = says
    return copy


def _with_article(noun: str) -> str:
    if noun.startswith("the "):
        return noun
    return f"{'an' if noun[:1] in 'AEIOaeio' else 'a'} {noun}"
