"""Lines of a chart: all in one frame, and none of a single point."""

from hypothesis import given
from hypothesis import strategies as st

from core.charts import HEIGHT, WIDTH, draw_lines

POINTS = st.lists(
    st.tuples(st.integers(0, 10_000), st.floats(-1e6, 1e6, allow_nan=False)), min_size=2, max_size=50
)


def test_lines_share_a_frame_from_the_highest_to_the_lowest_value():
    chart = draw_lines({"learned": [(0, 4.0), (10, 2.0)], "held_out": [(5, 3.0), (10, 3.0)]})
    assert chart is not None
    assert chart.lines == {"learned": "0.0,0.0 600.0,120.0", "held_out": "300.0,60.0 600.0,60.0"}
    assert (chart.top, chart.bottom, chart.last_x) == (4.0, 2.0, 10)


def test_what_has_one_point_is_no_line():
    assert draw_lines({"learned": [], "held_out": [(5, 3.0)]}) is None


@given(st.dictionaries(st.sampled_from(["a", "b"]), POINTS, min_size=1))
def test_no_line_leaves_its_frame(series):
    chart = draw_lines(series)
    assert chart is not None
    for line in chart.lines.values():
        for place in line.split():
            x, y = map(float, place.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
