"""Train the embedded base model and face detector on held-out artists."""
