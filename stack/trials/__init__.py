"""Trials: load on the whole stack while it suffers, then its books are checked to the last token."""
