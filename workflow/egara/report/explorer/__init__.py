"""The map that a person explores: all spaces of a study in one page, without a server."""
