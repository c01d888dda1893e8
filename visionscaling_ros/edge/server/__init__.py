"""The far end: the embedded inference server."""
