"""A bag that is played and recorded again is the same bag, however fast it was played."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from graph_harness import TIMEOUT_S
from made_bags import IMAGE, STRING, cdr, image, messages
from recorded_bags import write_run
from waiting import until

from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.message_definitions import MessageDefinitions
from visionscaling_ros.bags.message_types import typestore
from visionscaling_ros.bags.playback import Playback, PlaybackOptions, PlaybackSummary
from visionscaling_ros.bags.topic_choice import TopicChoice
from visionscaling_ros.nodes.bag_player import BagPlayer
from visionscaling_ros.nodes.bag_recorder import BagRecorder
from visionscaling_ros.review.recorded_run import read_runs
from visionscaling_ros.review.redecide import redecide

SLOTS, IMAGES = 40, 60
SLOT_NS, FRAME_NS = 50_000_000, 33_333_333  # as they lie in the bag: 2 s are long enough
BEGIN_NS = 10**18
END = '/end'  # comes so late that the recorder has put all before it into its order


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, str, bytes]]:
    """Time, topic, type and bytes of the messages of a run with a camera."""
    found = messages(write_run(tmp_path_factory.mktemp('run') / 'bag', slots=SLOTS))
    begin_ns = found[0].log_ns
    run = [
        (BEGIN_NS + (m.log_ns - begin_ns) * SLOT_NS // 10**9, m.topic, m.message_type, m.data)
        for m in found
    ]
    for number in range(IMAGES):
        stamp_ns = BEGIN_NS + number * FRAME_NS
        data = bytes(typestore().serialize_cdr(image(stamp_ns, side_px=320), IMAGE))
        run.append((stamp_ns, '/image_raw', IMAGE, data))
    run.sort(key=lambda message: message[0])
    return [*run, (run[-1][0] + 10**9, END, STRING, cdr('end'))]


def write(path: Path, storage: str, run: list[tuple[int, str, str, bytes]]) -> Path:
    definitions = MessageDefinitions()
    with BagWriter(path, storage) as bag:
        topics: dict[str, Any] = {}
        for log_ns, name, kind, data in run:
            if name not in topics:
                topics[name] = bag.add_topic(name, kind, definitions.find(kind))
            bag.write(topics[name], log_ns, data)
    return path


def play(path: Path, rate: float) -> PlaybackSummary:
    """Play to whoever listens to each topic, to the end."""
    stop = threading.Event()
    with BagReader(path) as bag, BagPlayer(bag.fields) as player:
        playback = Playback(bag, PlaybackOptions(rate=rate), player, stop)
        playback.prepare()
        assert player.wait_for_subscribers(playback.names.values(), TIMEOUT_S, stop) == []
        summary = playback.run()
        assert player.finish() == []
    return summary


def by_topic(path: Path) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for message in messages(path):
        found.setdefault(message.topic, []).append(message.data)
    return found


@pytest.mark.usefixtures('graph')
@pytest.mark.parametrize('rate', [1.0, 5.0])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_it_has_the_same_frames_and_its_run_is_decided_the_same(
    tmp_path: Path, storage: str, rate: float, run: list[tuple[int, str, str, bytes]]
) -> None:
    bag = write(tmp_path / 'bag', storage, run)
    recorder = BagRecorder(BagWriter(tmp_path / 'again', storage), TopicChoice())
    with recorder:
        summary = play(bag, rate)
        assert summary.published.total() == len(run)
        until(lambda: recorder.recording.state.messages >= len(run) - 1, 'all recorded')
    before, after = by_topic(bag), by_topic(tmp_path / 'again')
    assert len(before['/image_raw']) == IMAGES
    del before[END]
    assert {name: after.get(name) for name in before} == before
    (again,) = read_runs(tmp_path / 'again')
    decided = redecide(again)
    assert decided.exact
    assert decided.same == len(decided.compared) == SLOTS - 1
