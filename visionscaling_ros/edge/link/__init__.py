"""A slow, far and failing link on one machine."""
