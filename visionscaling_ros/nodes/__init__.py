"""ROS 2: one thin file per node. Nothing else in the package imports rclpy or messages."""
