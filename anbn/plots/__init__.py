"""Figures of Part 3."""
