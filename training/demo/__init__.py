"""The demo: a small procedural street world, recorded as a simulator and as a camera."""
