"""The management API of styles: versions, releases, sharing, erasures.

Public face: `presenters`, which events use, too.
"""
