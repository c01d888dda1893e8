"""What happens to a frame: the dispatcher, its books and its workers. No ROS."""
