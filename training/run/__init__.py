"""A training run: put together, stepped, told of, stopped and gone on with."""
