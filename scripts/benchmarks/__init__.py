"""What scripts/bench.py measures, a file for each part, and the plain baselines it is held against."""
