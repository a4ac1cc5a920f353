"""The composed volumes: pages built by a rule from openly licensed drawings of named artists."""
