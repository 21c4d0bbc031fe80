import os

# Before anything imports NumPy: its threads wait for one another in a loop, which on two busy cores made the
# check of a rank-80 adapter ten times slower (2.3 s instead of 0.2 s for 49 MB).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
