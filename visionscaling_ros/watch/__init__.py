"""What people watch of running robots. No ROS."""
