"""One module a detector, so that a page detector loads only the library that it needs."""
