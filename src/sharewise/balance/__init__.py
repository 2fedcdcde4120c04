"""Loss weightings, gradient aggregators and task samplers, usable alone in anyone's training loop."""
