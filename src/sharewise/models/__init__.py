"""Choice -> module: encoders, sharing architectures and heads, stacked over members; and non-neural baselines."""
