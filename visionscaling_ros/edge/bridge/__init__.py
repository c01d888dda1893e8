"""The robot's end: sends frames, paces them, knows the way and its servers."""
