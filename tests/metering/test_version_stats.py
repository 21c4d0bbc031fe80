from datetime import timedelta
from uuid import uuid4

from metering.ledger import record_events
from metering.style_usage import VersionFigures, version_figures
from tests.tenants.builders import NOW


def test_versions_are_judged_by_finished_requests_of_everybody_since_a_moment(acme, charlies, event):
    style = uuid4()

    def one(version=1, tenant=acme, **facts):
        return event(tenant, style=style, version_number=version, **facts)

    record_events(
        [
            one(completion_tokens=30),
            one(tenant=charlies, completion_tokens=11),
            one(completion_tokens=1, finish_reason="empty"),
            one(completion_tokens=1, finish_reason="length"),
            one(outcome="upstream_error", prompt_tokens=0, completion_tokens=0),
            one(outcome="upstream_error", completion_tokens=9),
            one(outcome="client_disconnect", completion_tokens=0),
            one(outcome="swept"),
            one(2, completion_tokens=0, finish_reason="empty"),
            one(2, admitted_at=NOW - timedelta(seconds=1)),
            event(acme, style=style, version_number=None),
            event(acme, version_number=1),
        ]
    )
    found = version_figures(style, NOW)
    assert found == {1: VersionFigures(6, 2, 1, 43), 2: VersionFigures(1, 0, 1, 0)}
    assert round(found[1].error_percent, 1) == 33.3
    assert found[1].tokens_an_answer == 43 / 4
    assert found[2].empty_percent == 100
    assert (
        VersionFigures().error_percent,
        VersionFigures().empty_percent,
        VersionFigures().tokens_an_answer,
    ) == (0, 0, 0)


def test_figures_are_counted_by_the_index_of_their_style(acme, event, django_assert_num_queries):
    record_events([event(acme, style=uuid4()) for _ in range(50)])
    with django_assert_num_queries(2):
        assert version_figures(uuid4(), NOW) == {}
