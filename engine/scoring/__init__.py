"""How well a base model and adapters predict texts: the parts of evidence.py."""
