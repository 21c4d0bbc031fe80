"""Train a LoRA adapter on conversations: the parts of train.py."""
