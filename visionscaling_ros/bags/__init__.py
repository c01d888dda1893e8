"""Bags: rosbag2 files read, written and paced. No ROS."""
