"""ROS graphs of several users' processes on one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from visionscaling_ros.graph.dds_profile import PROFILE_VARIABLES
from visionscaling_ros.graph.environment import environment_set

# Fast DDS prefers shared memory on one machine, also to discover others, and one user's is closed
# to another. Only the range SUBNET leaves the choice of transports to a profile.
RANGE = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}
LOOPBACK_ONLY = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <transport_descriptors>
      <transport_descriptor>
        <transport_id>loopback</transport_id>
        <type>UDPv4</type>
        <interfaceWhiteList>
          <address>127.0.0.1</address>
        </interfaceWhiteList>
      </transport_descriptor>
    </transport_descriptors>
    <participant profile_name="loopback" is_default_profile="true">
      <rtps>
        <userTransports>
          <transport_id>loopback</transport_id>
        </userTransports>
        <useBuiltinTransports>false</useBuiltinTransports>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


@contextlib.contextmanager
def on_loopback(folder: Path) -> Iterator[None]:
    """Let this process and what it starts speak through the loopback interface only.

    :param folder: for the profile; every user may read it.
    """
    profile = folder / 'loopback.xml'
    profile.write_text(LOOPBACK_ONLY, encoding='utf-8')
    variables = {**dict.fromkeys(PROFILE_VARIABLES, str(profile)), **RANGE}
    with environment_set(variables):
        yield
