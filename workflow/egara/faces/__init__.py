"""Face detectors behind one interface, their crops, and their accuracy."""
