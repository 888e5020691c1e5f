"""A procedural street, seen from a car: image and labels from one geometry."""
