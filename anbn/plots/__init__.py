"""Figures of Part 3. A function that draws a whole picture returns a Figure."""
