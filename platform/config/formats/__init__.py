"""How a language writes dates that have no format of their own: those of the console's lists and forms."""
