"""One module for each format; each has `read(content, limits) -> Draft`."""
