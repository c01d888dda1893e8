"""Temperatures, and what they allow."""
