"""What puts the edge path to the test: faults, load, fuzzing, fair shares."""
