"""Run one script, and print what it returns as JSON."""

import json
import os
import sys
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
name = sys.argv[1]
script = getattr(import_module(f"trials.site.{name}"), name)
print(json.dumps(script(**json.load(sys.stdin))))
