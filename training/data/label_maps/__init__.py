"""Tables from the ids or colours of label files to class names, and the reading of such files."""
