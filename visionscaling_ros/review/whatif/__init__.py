"""What if another policy had decided a recorded run: a model of the run, and its error."""
