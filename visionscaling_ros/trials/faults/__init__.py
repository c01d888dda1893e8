"""Faults of server, link, disk, memory, clock and nodes, and what a robot makes of them."""
