"""Models behind the inference protocol: what the edge server runs, here or on other engines."""
