"""What docker-machine left behind: its stores, read and taken over. They are never written to."""

VIEW_NOTE = "docker-machine-view"  # in the store while it keeps docker-machine's files, see ``runner_view``
