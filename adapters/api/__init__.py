"""The management API of styles: versions, uploads, releases, sharing, erasures.

Public face: `presenters`, which events use, too.
"""
