"""Where frames come from. No ROS."""

from visionscaling_ros.vision.sources.folder_source import FolderSource
from visionscaling_ros.vision.sources.frame_source import Frame, FrameSource
from visionscaling_ros.vision.sources.open_source import open_source
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource
from visionscaling_ros.vision.sources.video_source import VideoSource

__all__ = [
    'FolderSource',
    'Frame',
    'FrameSource',
    'SyntheticSource',
    'VideoSource',
    'open_source',
]
