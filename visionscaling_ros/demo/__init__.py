"""The demonstration: what it records of a run, and how it shows it. No ROS."""
