"""Authors' shares are booked with the usage of others, in the transaction that writes it."""

from collections.abc import Collection
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from metering.models import Price

# The edition that counted when the request was admitted says who earns how much. Each request's share is
# rounded down by itself, so the sum does not depend on how requests are batched. Days are those of
# ADD_TO_DAYS in ledger.py.
ADD_TO_EARNINGS = """
    INSERT INTO metering_authorearning AS earning
        (author_id, tenant_id, style, style_name, day, requests, tokens, cost_nanousd, share_nanousd)
    SELECT price.author_id, event.tenant_id, event.style, max(event.style_name),
           least(greatest((admitted_at AT TIME ZONE 'UTC')::date, first), last) AS day, count(*),
           sum(prompt_tokens::bigint + completion_tokens), sum(cost_nanousd),
           sum(cost_nanousd * price.author_percent / 100)
    FROM metering_usageevent AS event
         JOIN LATERAL (
             SELECT general.book_id
             FROM metering_price AS general JOIN metering_pricebook AS book ON book.id = general.book_id
             WHERE general.style IS NULL AND NOT general.is_base AND book.effective_from <= event.admitted_at
             ORDER BY book.effective_from DESC LIMIT 1
         ) AS edition ON true
         JOIN metering_price AS price ON price.book_id = edition.book_id AND price.style = event.style,
         LATERAL (SELECT (period || '-01')::date AS first) AS begin,
         LATERAL (SELECT (first + interval '1 month - 1 day')::date AS last) AS ending
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND (prompt_tokens > 0 OR completion_tokens > 0)
      AND price.author_percent > 0 AND price.author_id <> event.tenant_id
    GROUP BY price.author_id, day, event.style, event.tenant_id
    ORDER BY price.author_id, day, event.style, event.tenant_id
    ON CONFLICT (author_id, day, style, tenant_id) DO UPDATE SET
        requests = earning.requests + excluded.requests,
        tokens = earning.tokens + excluded.tokens,
        cost_nanousd = earning.cost_nanousd + excluded.cost_nanousd,
        share_nanousd = earning.share_nanousd + excluded.share_nanousd
"""

# Of an author, a style and who used it: what a month's events make. The same rule for whole months.
SHARES_OF_EVENTS = """
    SELECT price.author_id, event.tenant_id, event.style,
           sum(event.cost_nanousd * price.author_percent / 100) AS share_nanousd
    FROM metering_usageevent AS event
         JOIN metering_price AS price ON price.style = event.style AND price.author_percent > 0
             AND price.author_id <> event.tenant_id
         JOIN (
             SELECT book.id, effective_from, lead(effective_from) OVER (ORDER BY effective_from) AS until
             FROM metering_pricebook AS book
             WHERE EXISTS (SELECT FROM metering_price AS general
                           WHERE general.book_id = book.id AND general.style IS NULL AND NOT general.is_base)
         ) AS edition ON edition.id = price.book_id AND edition.effective_from <= event.admitted_at
             AND (edition.until IS NULL OR edition.until > event.admitted_at)
    WHERE event.period = %(period)s
      AND (event.prompt_tokens > 0 OR event.completion_tokens > 0)
    GROUP BY price.author_id, event.tenant_id, event.style
"""


def add_to_earnings(
    cursor: CursorWrapper, request_ids: list[str], periods: list[str], styles: Collection[UUID]
) -> None:
    """Book the authors' shares of usage events that were just written; with the events' months and styles.

    Call it in the transaction that writes the events.
    """
    # Most batches name no style with a share: one cheap query instead of the long statement.
    shared = Price.objects.filter(style__in=styles, author_percent__gt=0)
    if shared.exists():
        cursor.execute(ADD_TO_EARNINGS, [request_ids, periods])
