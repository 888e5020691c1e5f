"""Settings of a training run: what there is to set, and the files that set it."""
