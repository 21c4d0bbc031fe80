"""A style from one's own writing: documents, their corpus, the training and its version."""
