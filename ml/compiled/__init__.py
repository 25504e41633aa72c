"""A boosted forest as flat arrays, and the kernels that walk it. `ml.trees` is the door."""
