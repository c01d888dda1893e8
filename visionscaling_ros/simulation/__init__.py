"""A world to try policies in: traces, conditions, devices, an oracle, and what runs cost."""
