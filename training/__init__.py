"""Everything offline: bags to images, datasets, self-training, evaluation, the `hrda` command."""
