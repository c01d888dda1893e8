"""How it starts: one description of the graph, used by launch files and by ``visionscaling up``."""
