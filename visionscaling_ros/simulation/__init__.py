"""A world to try policies in."""
