"""What scripts/bench.py measures, a file for each part, and the plain loops it is held against."""
