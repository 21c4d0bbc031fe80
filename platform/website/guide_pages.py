"""Pages of the docs: the shelves with the search, and each guide."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from website import guides
from website.guide_search import search

MAX_QUESTION = 200  # characters of a search


@require_GET
def list_guides(request: HttpRequest) -> HttpResponse:
    """Show all guides, or what a search finds in them."""
    question = request.GET.get("q", "").strip()[:MAX_QUESTION]
    hits = search(question) if question else []
    context = {"shelves": guides.shelves(), "question": question, "hits": hits}
    return render(request, "guides.html", context)


@require_GET
def show_guide(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one guide."""
    guide = guides.load_guide(slug)
    if guide is None:
        raise Http404
    return render(request, "guide.html", {"guide": guide})
