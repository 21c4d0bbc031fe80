"""`trials chaos`: kill every part of the stack under load, then compare what clients saw with the ledger."""
