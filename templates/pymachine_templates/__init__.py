"""Jinja2 templates: ``engine/`` for the engine set-up. Loaded by ``pymachine.templates`` only."""
