"""The plain baselines that scripts/bench.py measures against, and how cost grows."""
