"""Training runs on real data: the data layer, the experiments and what they record."""
