"""A style from a writer's own texts: documents → reading → corpus → examples → training → version.

A `Training` row is the truth. Celery only wakes workers, and every step is safe to repeat. The model is
trained in a child process in the engine's environment (engine/train.py); no worker loads torch.

`public` is what other apps may use. `reading` and `corpus` know no database.
"""
