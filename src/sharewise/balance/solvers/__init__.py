"""Exact float64 solvers on small matrices, batched over members: tensor code, no solver library."""
