"""A style from a writer's own texts: documents → reading → corpus → examples → training → version.

The `Training` row is the source of truth. Celery only wakes workers, and every step is safe to repeat. The
model is trained in a child process in the engine's environment (engine/train.py); no worker loads torch.

Other apps may use `public`. `reading`, `corpus` and `text` use no database.
"""
