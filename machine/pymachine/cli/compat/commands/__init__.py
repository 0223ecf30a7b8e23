"""The commands of docker-machine that differ from ours of the same name, one module each."""
