"""Recordings, read and written without ROS: rosbag2 (.mcap, .db3) and ROS 1 (.bag)."""
