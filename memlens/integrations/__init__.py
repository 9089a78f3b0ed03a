"""Integrations with the environments that programs run in."""
