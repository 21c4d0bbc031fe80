"""Ways to change an adapter at random, by the stage at which they change it."""
