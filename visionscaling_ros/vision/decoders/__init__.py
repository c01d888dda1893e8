"""From a network's output tensors to candidate objects: one file for each output format."""
