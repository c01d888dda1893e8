"""What to do: the decision problem, policies and estimators. NumPy and the standard library only."""
