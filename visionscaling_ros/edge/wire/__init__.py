"""What goes over the wire, and what a frame and its outcome are."""
