"""First contact: what a study holds and takes, and what would stop it, before the first job.

`study` reads configuration and works table, `shelf` surveys the volumes, `faces` and `training` say what detection and
training need, `measure` takes the time of a real training step, and `words` writes all of it for a person.
"""
