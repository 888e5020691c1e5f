"""How good a network is on labelled images, and how far its confidence can be trusted."""
