"""`manage.py registerengine`: see adapters/placement/engine_actions.py."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from adapters.placement import engine_actions
from core.errors import DomainError


class Command(BaseCommand):
    help = "Register the base model and the engine configured in the environment. Safe to repeat."
    audit_action = "engine.registered"

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            engine = engine_actions.register_engine()
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Engine {engine.name} at {engine.url} serves {engine.base_model.name}.")
