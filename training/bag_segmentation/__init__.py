"""Recordings in, the same recordings with labels out, without ROS."""
