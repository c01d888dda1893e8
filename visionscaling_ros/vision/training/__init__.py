"""Training the zoo's detectors on procedurally generated scenes; nothing here is needed to run them."""
