"""Scores: distances and neighbours within and between works and authors, beside chance, p-values and intervals."""
