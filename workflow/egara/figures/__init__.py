"""Figures of a study as SVG (or PNG): the same data give the same file."""
