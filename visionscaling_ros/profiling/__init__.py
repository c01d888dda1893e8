"""Measures what every model costs on this device, and writes it down as a device profile."""
