"""The page that checks where a text came from, for everyone, and the keys that verify receipts."""

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_http_methods

from core import rates
from core.errors import DomainError, NotFound, TooManyRequests
from core.http import network_of
from provenance.checks import ENOUGH_WORDS, MAX_CHARACTERS, USUALLY_FOUND_WORDS, check_provenance
from provenance.receipts import MAX_CHARACTERS as MAX_RECEIPT_CHARACTERS
from provenance.receipts import issue_receipt, list_public_keys
from tenants.access import MemberRequest, member_required


class VerifyForm(forms.Form):
    """A text, a receipt, or both."""

    text = forms.CharField(
        label=_("Text"),
        required=False,
        strip=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "serif", "dir": "auto"}),
        help_text=format_lazy(
            _(
                "A watermark is usually found in {usually} words or more. If there is none, it takes about "
                "{enough} words to be sure."
            ),
            usually=USUALLY_FOUND_WORDS,
            enough=ENOUGH_WORDS,
        ),
    )
    receipt = forms.CharField(
        label=_("Receipt"),
        required=False,
        max_length=MAX_RECEIPT_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 4, "class": "mono", "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=_("If you were given one with the text: it begins with “eyJ”."),
    )


# Of one address: whoever tries many texts could learn which words carry the watermark.
CHECKS_PER_MINUTE = 20


@require_http_methods(["GET", "POST"])
@never_cache
def verify(request: HttpRequest) -> HttpResponse:
    """Show whether a text carries our watermark, and what its receipt says. Nothing of it is stored."""
    form = VerifyForm(request.POST if request.method == "POST" else None)
    check = None
    status = 200
    if form.is_bound:
        status = 400
        if form.is_valid():
            try:
                rates.take(f"verify:{network_of(request.META.get('REMOTE_ADDR') or '')}", CHECKS_PER_MINUTE)
                check = check_provenance(form.cleaned_data["text"], form.cleaned_data["receipt"])
                status = 200
            except TooManyRequests as error:
                form.add_error(None, error.message)
                status = 429
            except DomainError as error:
                form.add_error(None, error.message)
    context = {"form": form, "check": check, "enough_words": ENOUGH_WORDS}
    return render(request, "provenance/verify.html", context, status=status)


@require_GET
@member_required
def download_receipt(request: MemberRequest, answer_id: str) -> HttpResponse:
    """Return the receipt of one of the workspace's answers, by its request id, as a text file."""
    try:
        receipt = issue_receipt(request.tenant, answer_id)
    except NotFound as error:
        raise Http404 from error
    headers = {"Content-Disposition": f'attachment; filename="{answer_id}.receipt.txt"'}
    return HttpResponse(f"{receipt}\n", content_type="text/plain; charset=utf-8", headers=headers)


@require_GET
@cache_control(public=True, max_age=3600)
def show_keys(request: HttpRequest) -> HttpResponse:
    """Return the public keys of receipts as a JWK Set. Any page may read them, to verify a receipt itself."""
    return JsonResponse({"keys": list_public_keys()}, headers={"Access-Control-Allow-Origin": "*"})
