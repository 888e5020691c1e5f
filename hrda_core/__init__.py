"""The network, and how it sees one image: nothing here knows of ROS or of training."""
