"""Training the zoo's detectors on generated scenes; nothing here is needed to run them."""
