"""Test doubles and generators that tests, trials and benches share.

`mutations` makes adapters that are broken at random.
"""
