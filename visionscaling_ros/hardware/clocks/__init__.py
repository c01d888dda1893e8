"""GPU clocks: what sets them, and what makes sure they are set back."""
