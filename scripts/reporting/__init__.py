"""The sections of scripts/report.py, one file each."""
