"""The ``visionscaling`` commands."""
