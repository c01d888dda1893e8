"""Where else: inference client, embedded server, pacing, link estimation and shaping."""
