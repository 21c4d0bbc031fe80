"""A style from texts: files are sent and read, a person agrees to an estimate, the training is followed."""
