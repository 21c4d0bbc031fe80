"""The gateway as an ASGI app."""

from inference.api.app import app, lifespan
from inference.contract.endpoints import ROOT_PATHS, is_site_path

__all__ = ["ROOT_PATHS", "app", "is_site_path", "lifespan"]
