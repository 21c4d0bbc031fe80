"""Run one function with the arguments on standard input, and print what it returns as JSON."""

import json
import os
import sys
from importlib import import_module

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()
module, _, name = sys.argv[1].rpartition(".")
function = getattr(import_module(module if "." in module else f"labs.site.{module}"), name)
print(json.dumps(function(**json.load(sys.stdin))))
