"""Access to machines in a file, for another person or computer: certificates and keys of their own, none of ours."""
