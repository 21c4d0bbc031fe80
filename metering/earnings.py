"""Authors' shares are booked with the usage of others, in the transaction that writes it."""

from collections.abc import Collection
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from metering.models import StylePrice

# Joined to `metering_usageevent AS event`: the style's price that counted when the request was admitted (as
# `price_book.style_price_at`), if somebody earns a share of it.
PRICE_AT_ADMISSION = """
         JOIN LATERAL (
             SELECT author_id, author_percent FROM metering_styleprice
             WHERE style = event.style AND effective_from <= event.admitted_at
             ORDER BY effective_from DESC LIMIT 1
         ) AS price ON price.author_percent > 0 AND price.author_id <> event.tenant_id
"""

# Each request's share is rounded down by itself, so the sum does not depend on how requests are batched. Days
# are those of ADD_TO_DAYS in ledger.py.
ADD_TO_EARNINGS = f"""
    INSERT INTO metering_authorearning AS earning
        (author_id, tenant_id, style, style_name, day, requests, tokens, cost_nanousd, share_nanousd)
    SELECT price.author_id, event.tenant_id, event.style, max(event.style_name),
           least(greatest((admitted_at AT TIME ZONE 'UTC')::date, first), last) AS day, count(*),
           sum(prompt_tokens::bigint + completion_tokens), sum(cost_nanousd),
           sum(cost_nanousd * price.author_percent / 100)
    FROM metering_usageevent AS event {PRICE_AT_ADMISSION},
         LATERAL (SELECT (period || '-01')::date AS first) AS begin,
         LATERAL (SELECT (first + interval '1 month - 1 day')::date AS last) AS ending
    WHERE request_id = ANY(%s) AND period = ANY(%s) AND (prompt_tokens > 0 OR completion_tokens > 0)
    GROUP BY price.author_id, day, event.style, event.tenant_id
    ORDER BY price.author_id, day, event.style, event.tenant_id
    ON CONFLICT (author_id, day, style, tenant_id) DO UPDATE SET
        requests = earning.requests + excluded.requests,
        tokens = earning.tokens + excluded.tokens,
        cost_nanousd = earning.cost_nanousd + excluded.cost_nanousd,
        share_nanousd = earning.share_nanousd + excluded.share_nanousd
"""  # noqa: S608 - our own constant

# Of an author, a style and who used it: what a month's events make. The same rule for whole months.
SHARES_OF_EVENTS = f"""
    SELECT price.author_id, event.tenant_id, event.style,
           sum(event.cost_nanousd * price.author_percent / 100) AS share_nanousd
    FROM metering_usageevent AS event {PRICE_AT_ADMISSION}
    WHERE event.style IN (SELECT style FROM metering_styleprice WHERE author_percent > 0)
      AND event.period = %(period)s
      AND (event.prompt_tokens > 0 OR event.completion_tokens > 0)
    GROUP BY price.author_id, event.tenant_id, event.style
"""  # noqa: S608 - our own constant


def add_to_earnings(
    cursor: CursorWrapper, request_ids: list[str], periods: list[str], styles: Collection[UUID]
) -> None:
    """Book the authors' shares of usage events that were just written; with the events' months and styles.

    Call it in the transaction that writes the events.
    """
    # Most batches name no style with a share: one cheap query instead of the long statement.
    shared = StylePrice.objects.filter(style__in=styles, author_percent__gt=0)
    if shared.exists():
        cursor.execute(ADD_TO_EARNINGS, [request_ids, periods])
