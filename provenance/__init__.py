"""Where a text came from: the watermark in answers, receipts for them, and the detector.

The engine marks what it generates; this app holds the keys' meaning, finds the mark in a text, and signs
receipts. `watermark` uses no database.
"""
