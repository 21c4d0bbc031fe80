"""Where templates, static files, catalogues and guides lie: a checkout's root, or a folder in a wheel."""

from pathlib import Path

_CORE = Path(__file__).resolve().parent
IN_A_WHEEL = _CORE / "project"  # dev/stack/wheel_hook.py puts them there
PROJECT_ROOT = IN_A_WHEEL if IN_A_WHEEL.is_dir() else _CORE.parent
