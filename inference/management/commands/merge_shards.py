"""`manage.py merge_shards`: the step of an upgrade that gives Valkey's keys their names of now."""

from typing import Any

from django.core.management.base import BaseCommand

from core import valkey
from inference.quota.shard_merge import merge_shards
from tenants.public import record_command


class Command(BaseCommand):
    """Safe to repeat. Stop the site and its workers before; docs/running.md says how."""

    help = "Merge the sixteen shards that Valkey's keys were divided into until December 2026."
    audit_action = "shards.merged"

    def handle(self, **_: Any) -> None:
        keys, events = merge_shards(valkey.client())
        if keys or events:
            facts = {"keys": keys, "events": events}
            record_command("merge_shards", action="shards.merged", after=facts)
        self.stdout.write(f"{keys} keys were renamed, {events} usage events moved.")
