"""Tasks that load data."""
