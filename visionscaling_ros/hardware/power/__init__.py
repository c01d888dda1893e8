"""Power meters, power models and the energy they add up to."""
