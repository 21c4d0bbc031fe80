"""`make fuzz`: mutated adapters against validation and a real engine."""
