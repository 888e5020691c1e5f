"""From recordings to folders of images: choosing, changing, writing and telling of frames."""
