"""Table -> schema -> split -> fitted codec -> encoded inputs and targets with `present`."""
