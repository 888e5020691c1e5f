"""The online wing: ROS 2 messages in, a Segmenter, ROS 2 messages out."""
