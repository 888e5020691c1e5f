"""The memory of a training step: estimated, fitted into a limit, and given back."""
