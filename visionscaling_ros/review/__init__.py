"""Looking back at a recorded run: decide it again, ask what if, tune, report. No ROS."""
