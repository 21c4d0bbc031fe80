"""The catalog: styles that a workspace sees, selects, offers to everybody, or shares.

Public face: `queries` (what it sees), `selection` (what it selects) and `sharing`; `forms` checks what an
owner writes about a style.
"""
