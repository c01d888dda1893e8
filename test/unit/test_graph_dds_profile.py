"""The DDS profile fits the machine and leaves a user's own alone."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from visionscaling_ros.graph import dds_profile
from visionscaling_ros.graph.dds_profile import (
    PROFILE_VARIABLES,
    SHARED_MEMORY_BYTES,
    SOCKET_BUFFER_BYTES,
    dds_environment,
    profile_name,
    use_dds_profile,
)
from visionscaling_ros.installed import share_directory

MIB = 1024 * 1024
FULL_HD_BYTES = 1920 * 1080 * 3


def numbers(name):
    root = ElementTree.parse(share_directory() / 'config' / 'fastdds' / name).getroot()
    return {
        element.tag.rpartition('}')[2]: int(element.text)
        for element in root.iter()
        if (element.text or '').strip().isdecimal()
    }


@pytest.fixture
def no_profile(monkeypatch):
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_both_names_of_the_variable_point_at_an_existing_profile(no_profile):
    environment = dds_environment()
    assert tuple(environment) == PROFILE_VARIABLES
    assert len(set(environment.values())) == 1
    ElementTree.parse(environment[PROFILE_VARIABLES[0]])


@pytest.mark.parametrize('variable', PROFILE_VARIABLES)
def test_a_profile_of_the_user_stays(no_profile, monkeypatch, variable):
    monkeypatch.setenv(variable, '/home/robot/own.xml')
    assert dds_environment() == {}


def test_a_process_can_take_the_profile_for_itself(no_profile, monkeypatch):
    environment = {}
    monkeypatch.setattr(dds_profile.os, 'environ', environment)
    use_dds_profile()
    assert tuple(environment) == PROFILE_VARIABLES


@pytest.mark.parametrize(
    ('shared_memory_bytes', 'socket_buffer_bytes', 'expected'),
    [
        (SHARED_MEMORY_BYTES, SOCKET_BUFFER_BYTES, 'shared_memory_and_udp.xml'),
        (SHARED_MEMORY_BYTES, 212992, 'shared_memory.xml'),
        (64 * MIB, SOCKET_BUFFER_BYTES, 'small_shared_memory.xml'),
        (0, 0, 'small_shared_memory.xml'),
    ],
)
def test_the_profile_asks_for_no_more_than_the_machine_has(
    shared_memory_bytes, socket_buffer_bytes, expected
):
    name = profile_name(
        shared_memory_bytes=shared_memory_bytes, socket_buffer_bytes=socket_buffer_bytes
    )
    assert name == expected
    wanted = numbers(name)
    assert wanted['segment_size'] > FULL_HD_BYTES
    assert wanted['maxMessageSize'] <= wanted['segment_size']
    assert wanted.get('receiveBufferSize', 0) <= socket_buffer_bytes
    assert wanted.get('sendBufferSize', 0) <= socket_buffer_bytes


def test_a_machine_that_tells_nothing_gets_the_modest_profile(monkeypatch, no_profile, tmp_path):
    monkeypatch.setattr(dds_profile, 'SHARED_MEMORY', tmp_path / 'none')
    monkeypatch.setattr(dds_profile, 'KERNEL_LIMITS', (tmp_path / 'none',))
    assert dds_environment()[PROFILE_VARIABLES[0]].endswith('small_shared_memory.xml')
