"""What a world is: the format of its files, and how they are read."""
