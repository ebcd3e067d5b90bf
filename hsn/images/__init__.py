"""Image files, slides and tiles as uint8 RGB arrays."""
