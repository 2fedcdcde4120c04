"""Recipe and cohort: many members trained at once, each as if it were alone."""
