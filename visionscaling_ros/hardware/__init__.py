"""The machine: GPU clocks, power models and meters."""
