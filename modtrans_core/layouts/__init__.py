"""Pair sets in the layouts of other tools."""
