"""Node and helper killed at random moments: is the clock always as it was found afterwards?"""
