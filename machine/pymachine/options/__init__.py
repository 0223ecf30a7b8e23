"""Options: what their values may be, and how each is declared once for command line, inventory, schema and docs."""
