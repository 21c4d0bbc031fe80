"""The management API of styles: versions, uploads, releases, sharing, erasures.

Events use its `present_…` functions, too.
"""
