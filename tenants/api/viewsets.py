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
from tenants.api.schema import operation
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
# What the viewset itself keeps of an operation's facts; the others are `operation`'s.
OWN_FACTS = (
    "method",
    "name",
    "detail",
    "url_path",
    "is_filtered",
    "is_locked",
    "is_repeatable",
    "renderer_classes",
)

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

    `facts`: `detail`: whether it is below the address of one object, which it is unless said otherwise;
    `url_path` and `name`, else the method's name; `is_locked`: nobody else changes the object meanwhile;
    `is_repeatable`: it runs in no transaction, and no answer need be kept for an Idempotency-Key;
    `renderer_classes`; and what `operation` takes.
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
    object, or that and further fields; the rows of a list; or a whole response. `reads` are the standard
    actions that need no method of their own.
    """

    tag: ClassVar[str]
    resource: ClassVar[str] = ""  # the first part of the operations' names, where it is not the tag
    noun: ClassVar[str] = ""  # with "the" where there is only one
    nouns: ClassVar[str] = ""
    scope: ClassVar[Scope | None]
    read_scope: ClassVar[Scope | None]  # of GETs, where it is another one
    needs: ClassVar[Permission | None] = None  # what a person must be allowed for all but GETs
    reads: ClassVar[Mapping[str, str]] = {}  # list, retrieve: what each is said to do
    queryset: ClassVar[QuerySet[Any]]
    serializer_class: ClassVar[Shape]
    created_class: ClassVar[Shape]  # what a new object is shown as, where that is more
    new_body: ClassVar[type[StrictSerializer]]
    body: ClassVar[type[StrictSerializer]]  # of an edit
    query: ClassVar[type[StrictSerializer] | None] = None  # of the list; its values are look-ups
    lookup_field = "pk"
    lookup_url_kwarg: ClassVar[str] = ""
    facts_of: ClassVar[dict[str, Facts]] = {}  # by action

    def __init_subclass__(cls) -> None:
        """Describe each operation, and wrap it in what its method needs."""
        super().__init_subclass__()
        cls.facts_of = {}
        for name, says in cls.reads.items():
            setattr(cls, name, _copy(getattr(cls, name), says))
        for name, handler in list(vars(cls).items()):
            if name in STANDARD or hasattr(handler, "facts"):
                facts = cls._complete_facts(name, getattr(handler, "facts", {}))
                cls.facts_of[name] = facts
                setattr(cls, name, cls._wrap(handler, facts))

    @classmethod
    def _complete_facts(cls, action: str, own_facts: Facts) -> Facts:
        """Return everything that is so of an operation."""
        shape = getattr(cls, "serializer_class", None)
        facts: Facts = {"name": action, "detail": True, "url_path": action, "answer": shape}
        if action in STANDARD:
            facts |= cls._standard_facts(action)
        facts |= own_facts
        is_read = facts["method"] == "get"
        facts.setdefault("scope", getattr(cls, "read_scope", cls.scope) if is_read else cls.scope)
        facts.setdefault("needs", None if is_read else cls.needs)
        facts.setdefault("status", 200 if facts["answer"] or facts.get("others") else 204)
        facts.setdefault("is_post", facts["method"] == "post")
        return {"tag": cls.tag, "is_change": not is_read, **facts}

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
    def _wrap(cls, handler: Handler, facts: Facts) -> Handler:
        """Return the handler of requests for an operation's method, in its transaction and described."""
        handle = _handle_with(handler, facts)
        if facts.get("is_repeatable"):
            handle = repeatable(handle)
        elif facts["method"] == "post":
            handle = idempotent(handle)
        elif facts["method"] != "get":
            handle = transaction.atomic(handle)
        told = {name: fact for name, fact in facts.items() if name not in OWN_FACTS}
        return operation(cls._full_name(facts), **told)(handle)

    @classmethod
    def _full_name(cls, facts: Facts) -> str:
        return f"{cls.resource or cls.tag}.{facts['name']}"

    @classmethod
    def routes(cls, prefix: str, converter: str = "uuid") -> Sequence[URLPattern]:
        """Return the addresses of all operations. Those of one object come last: it may have any name."""
        one = f"{prefix}/<{converter}:{cls.lookup_url_kwarg}>" if cls.lookup_url_kwarg else prefix
        actions: dict[str, dict[str, Any]] = {}  # address → method → action
        for action, facts in sorted(cls.facts_of.items(), key=lambda item: item[1]["detail"]):
            address = one if facts["detail"] else prefix
            if facts["url_path"]:
                address = f"{address}/{facts['url_path']}"
            actions.setdefault(address, {})[facts["method"]] = action
        routes = []
        for address, by_method in actions.items():
            facts = cls.facts_of[next(iter(by_method.values()))]
            own = {name: facts[name] for name in ("renderer_classes",) if name in facts}
            routes.append(path(address, cls.as_view(by_method, **own), name=cls._full_name(facts)))
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
        return dict(self.serializer_class(row).data)

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

    def answer(self, returned: Any, facts: Facts) -> HttpResponseBase:
        """Return the response to an operation, which returned what it shows."""
        shape, status = facts["answer"], facts["status"]
        if isinstance(returned, HttpResponseBase):
            return returned
        if shape is None:
            return Response(status=status)
        if facts.get("is_page"):
            return self.answer_page(returned, self.present_page)
        if isinstance(returned, tuple):
            row, further = returned
            data = {**self.present(row), **further}
        elif shape is getattr(self, "serializer_class", None):
            data = self.present(returned)
        else:
            data = dict(shape(returned).data)
        return self.answer_object(data, status=status)


def _handle_with(handler: Handler, facts: Facts) -> Handler:
    """Return a handler of requests: it finds what an operation's method takes, and shows what it returns."""
    body, query = facts.get("body"), facts.get("query")

    @wraps(handler)
    def handle(view: WorkspaceViewSet, request: Request, **_: Any) -> HttpResponseBase:
        taken: list[Any] = []
        if facts["detail"]:
            taken.append(view.get_object(is_locked=facts.get("is_locked", False)))
        elif body:  # so that a stranger's parent is a 404, whatever the body says
            view.find_parent()
        if facts.get("is_edit"):
            view.require_match(view.present(taken[0]))
        if body:
            taken.append(view.read_body(body))
        if query and not facts.get("is_filtered"):
            taken.append(view.read_query(query))
        return view.answer(handler(view, *taken), facts)

    return handle


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
