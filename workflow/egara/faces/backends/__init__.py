"""Detectors, one module each; see `egara.faces.registry`."""
