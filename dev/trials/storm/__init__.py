"""`make trial NAME=quota-storm`: many requests at one moment against a cap that fits only some of them."""
