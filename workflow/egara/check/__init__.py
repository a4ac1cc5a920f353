"""`egara check`: what a study contains and needs, and what would stop it, before the first job.

`study` reads configuration and works table, `shelf` surveys the volumes, `faces` and `training` estimate what detection
and training need, `measure` times a real training step, and `words` formats the result.
"""
