"""``visionscaling-clockd``: sets clocks for users who may not; standard library only."""
