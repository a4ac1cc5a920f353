"""Scores: distances and neighbours within and between works and authors, with chance levels, p-values and intervals."""
