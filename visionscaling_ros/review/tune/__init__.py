"""Searches settings that meet what is asked, on models of recorded runs."""
