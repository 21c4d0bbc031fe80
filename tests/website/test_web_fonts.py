"""The site's fonts are small, are found as static files, and have what pages need."""

from io import BytesIO
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from fontTools.ttLib import TTFont

from stack.web_fonts import FONTS

MAX_BYTES = 40_000


@pytest.mark.parametrize("name", FONTS)
def test_a_font_is_a_small_file_with_the_sites_characters_under_the_sites_name(name):
    found = finders.find(f"fonts/{name}.woff2")
    data = Path(found).read_bytes()
    assert data.startswith(b"wOF2")
    assert len(data) < MAX_BYTES
    font = TTFont(BytesIO(data))
    assert set(map(ord, "Aaz09äößéłč“”…€·→")) <= set(font.getBestCmap())
    names = {str(record) for record in font["name"].names if record.nameID in (1, 4, 16)}
    assert not any("Source" in one for one in names)
    assert "SIL Open Font License" in str(font["name"].getDebugName(13))
