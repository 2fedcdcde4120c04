"""The gradient engine: gradient source, Gramian, weights, apply; functions and one class for any loop."""
