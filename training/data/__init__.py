"""Data sets: where their images and labels lie, how one is read, cropped, chosen and batched."""
