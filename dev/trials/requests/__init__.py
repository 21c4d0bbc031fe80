"""`make trial NAME=requests`: every field of a request at its limits, alone and in pairs."""
