"""What to run: detectors, pre- and post-processing, image formats, sources, accuracy, training."""
