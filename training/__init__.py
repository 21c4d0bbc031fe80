"""A style from a person's own writing: documents, corpus, training."""
