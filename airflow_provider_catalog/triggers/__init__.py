"""Waits that take no worker."""
