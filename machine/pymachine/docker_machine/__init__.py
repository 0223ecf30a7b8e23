"""What docker-machine left behind: its stores, read and taken over. They are never written to."""
