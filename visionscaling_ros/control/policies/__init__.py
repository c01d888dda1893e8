"""One policy per file, all behind :class:`visionscaling_ros.control.policy.Policy`."""
