"""VisionScaling for ROS 2: scales a robot's vision to energy, clock and uplink, slot by slot."""

__version__ = '0.1.0'
