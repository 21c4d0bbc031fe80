"""`webhooks`: addresses of your own that get the workspace's events."""

import typer

app = typer.Typer(name="webhooks", help="Addresses that get the workspace's events.", no_args_is_help=True)
