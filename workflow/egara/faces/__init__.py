"""Faces: detectors behind one small protocol, the crops they give, and how well they do."""
