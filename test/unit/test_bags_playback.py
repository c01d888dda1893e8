"""Messages are played at their time, in their order, under the names asked for."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_bags import (
    BEGIN_NS,
    COMPRESSED_IMAGE,
    IMAGE,
    SQLITE3,
    STEP_NS,
    STRING,
    McapWriter,
    message_record,
    write_bag,
    write_images,
)

from visionscaling_ros.bags.bag_reader import BagMessage, BagReader, BagTopic
from visionscaling_ros.bags.image_topics import choose_images
from visionscaling_ros.bags.lateness import Lateness
from visionscaling_ros.bags.message_types import type_name
from visionscaling_ros.bags.playback import OWN_CLOCK, Playback, PlaybackOptions
from visionscaling_ros.bags.playback_clock import PlaybackClock
from visionscaling_ros.bags.playback_topics import OUTPUTS, PlayedTopics, parse_remappings
from visionscaling_ros.errors import InvalidValueError

FAST = 1000.0


class Heard:
    """An outlet that keeps what it is given; ``refused``: topics it cannot publish, and why."""

    def __init__(self, refused: dict[str, str] | None = None) -> None:
        self.refused = refused or {}
        self.advertised: dict[str, str] = {}
        self.messages: list[tuple[str, BagMessage]] = []
        self.on_publish: Callable[[], None] = lambda: None

    def advertise(self, topic: BagTopic, name: str) -> str:
        if not self.refused.get(topic.name):
            self.advertised[name] = topic.message_type
        return self.refused.get(topic.name, '')

    def publish(self, name: str, message: BagMessage) -> str:
        self.messages.append((name, message))
        self.on_publish()
        return ''

    @property
    def numbers(self) -> list[int]:
        """The numbers in the strings."""
        return [int(m.data[8:].rstrip(b'\0 ')) for _, m in self.messages]


def play(path: Path, heard: Heard | None = None, **options):
    heard = heard or Heard()
    with BagReader(path) as bag:
        playback = Playback(
            bag, PlaybackOptions(**{'rate': FAST, **options}), heard, threading.Event()
        )
        playback.prepare()
        return playback.run(), heard


def test_all_messages_are_played_in_order(tmp_path: Path) -> None:
    summary, heard = play(write_bag(tmp_path / 'bag'))
    assert heard.numbers == list(range(20))
    assert heard.advertised == {'/chatter': STRING}
    assert summary.published == {'/chatter': 20}
    assert (summary.loops, summary.out_of_order, summary.interrupted) == (1, 0, False)
    assert set(summary.lateness.summary()) == {'p50', 'p95', 'max'}


@pytest.mark.parametrize(
    ('options', 'numbers'),
    [
        ({'start_s': 0.5}, range(5, 20)),
        ({'duration_s': 0.45}, range(5)),
        ({'start_s': 0.95, 'duration_s': 0.3}, range(10, 13)),
        ({'start_s': 1.9}, [19]),
        ({'duration_s': 99.0}, range(20)),
    ],
)
def test_a_stretch_is_played(tmp_path: Path, options, numbers) -> None:
    assert play(write_bag(tmp_path / 'bag', storage=SQLITE3), **options)[1].numbers == (
        list(numbers)
    )


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        ({'rate': 0.0}, 'rate'),
        ({'rate': math.nan}, 'rate'),
        ({'rate': 1e6}, 'rate'),
        ({'start_s': -1.0}, 'start'),
        ({'start_s': 2.0}, 'start'),
        ({'start_s': math.inf}, 'start'),
        ({'duration_s': 0.0}, 'duration'),
        ({'duration_s': math.nan}, 'duration'),
        ({'topics': PlayedTopics(only=['/none'])}, 'topics'),
        ({'topics': PlayedTopics(exclude=['/none'])}, 'exclude'),
        ({'topics': PlayedTopics(remappings={'/none': '/a'})}, 'remap'),
        ({'topics': PlayedTopics(exclude=['/chatter'])}, 'bag'),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(tmp_path: Path, options, name) -> None:
    with pytest.raises(InvalidValueError) as caught:
        play(write_bag(tmp_path / 'bag'), **options)
    assert caught.value.name == name


def test_an_empty_bag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match='it has /chatter'):
        play(write_bag(tmp_path / 'bag', count=0))


def test_a_loop_ends_when_it_is_stopped(tmp_path: Path) -> None:
    heard, stop = Heard(), threading.Event()
    with BagReader(write_bag(tmp_path / 'bag')) as bag:
        playback = Playback(bag, PlaybackOptions(rate=FAST, loop=True), heard, stop)
        playback.prepare()
        times: list[int] = []

        def on_publish() -> None:
            times.append(playback.clock.now_ns())
            if len(heard.messages) == 50:
                stop.set()

        heard.on_publish = on_publish
        summary = playback.run()
    assert heard.numbers == [*range(20), *range(20), *range(10)]
    assert (summary.loops, summary.interrupted) == (3, True)
    assert times[:20] == sorted(times[:20])
    assert times[20] < times[19]  # back to the beginning


def test_a_loop_over_nothing_playable_ends(tmp_path: Path) -> None:
    summary, _ = play(write_bag(tmp_path / 'bag'), Heard({'/chatter': 'not known'}), loop=True)
    assert summary.skipped.by_topic == {'/chatter': {'not known': 20}}
    assert not summary.published


def test_what_cannot_be_published_is_counted_with_its_reason(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', topics=('/a', '/b'))
    summary, heard = play(path, Heard({'/a': 'not known here'}))
    assert heard.numbers == list(range(1, 20, 2))
    assert summary.as_dict()['skipped'] == {'/a': {'not known here': 10}}
    assert summary.as_dict()['published'] == {'/b': 10}


def test_topics_are_chosen_and_renamed(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', topics=('/cam/left', '/cam/right', '/chatter'), count=21)
    for choice, names in (
        (PlayedTopics(only=['/cam/*']), {'/cam/left', '/cam/right'}),
        (PlayedTopics(only=['chatter']), {'/chatter'}),
        (PlayedTopics(exclude=['*/right']), {'/cam/left', '/chatter'}),
        (PlayedTopics(remappings=parse_remappings(['/cam/left:=/image_raw'])),
         {'/image_raw', '/cam/right', '/chatter'}),
    ):  # fmt: skip
        summary, heard = play(path, topics=choice)
        assert set(summary.published) == set(heard.advertised) == names


@pytest.mark.parametrize('text', ['a', ':=b', 'a:=', ''])
def test_a_remapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match='from:=to'):
        parse_remappings([text])


def test_two_topics_are_not_played_under_one_name(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', topics=('/a', '/b'))
    with pytest.raises(InvalidValueError, match='no other topic'):
        play(path, topics=PlayedTopics(remappings={'/a': '/b'}))


def test_only_inputs_leaves_out_what_our_nodes_publish() -> None:
    ours = [BagTopic(f'/r1/{name}', type_name('SlotState'), 1) for name in ('slot_state', 'x')]
    others = [BagTopic(f'/r1/inference_node/{name}', STRING, 1) for name in OUTPUTS]
    inputs = [
        BagTopic('/r1/ground_truth', type_name('FrameResult'), 1),
        BagTopic('/r1/image_raw', IMAGE, 1),
        BagTopic('/tf', 'tf2_msgs/msg/TFMessage', 1),
    ]
    names = PlayedTopics(inputs_only=True).names([*ours, *others, *inputs])
    assert set(names) == {topic.name for topic in inputs}


def test_the_bags_own_clock_is_not_played_beside_ours(tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', topics=('/clock', '/chatter'))
    assert play(path, clock=True)[0].skipped.by_topic == {'/clock': {OWN_CLOCK: 10}}
    assert play(path)[0].published == {'/clock': 10, '/chatter': 10}


def test_a_message_out_of_order_is_played_at_once_and_counted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr('visionscaling_ros.bags.mcap_bag.HELD_BYTES', 0)  # nothing is sorted
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    order = (0, 1, 3, 2, 4)
    parts = [message_record(str(n), BEGIN_NS + n * STEP_NS) for n in order]
    writer.chunk(b''.join(parts), BEGIN_NS, BEGIN_NS + 4 * STEP_NS)
    summary, heard = play(writer.write(closed=True))
    assert heard.numbers == list(order)
    assert summary.out_of_order == 1


class Monotonic:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_clock_runs_at_the_rate_up_to_the_message_to_come() -> None:
    monotonic = Monotonic()
    clock = PlaybackClock(5.0, monotonic)
    clock.set(BEGIN_NS)
    monotonic.now_s += 10.0
    assert clock.now_ns() == BEGIN_NS  # not before it runs
    clock.run()
    assert clock.wait_s(BEGIN_NS + 10**9) == pytest.approx(0.2)
    monotonic.now_s += 0.1
    assert clock.now_ns() == pytest.approx(BEGIN_NS + 5 * 10**8, abs=1000)
    monotonic.now_s += 0.9
    assert clock.now_ns() == BEGIN_NS + 10**9  # the message is late: its time has not passed
    assert clock.wait_s(BEGIN_NS + 10**9) == pytest.approx(-0.8)
    clock.wait_s(BEGIN_NS)  # a message out of order
    assert clock.now_ns() == BEGIN_NS + 10**9
    clock.set(BEGIN_NS)
    assert clock.now_ns() == BEGIN_NS


@given(
    rate=st.floats(0.01, 1000.0),
    steps_s=st.lists(st.floats(0.0, 1e4), max_size=20),
    gaps_ns=st.lists(st.integers(-(10**12), 10**12), max_size=20),
)
def test_the_clock_never_goes_back_nor_past_the_message_to_come(rate, steps_s, gaps_ns) -> None:
    monotonic = Monotonic()
    clock = PlaybackClock(rate, monotonic)
    clock.set(BEGIN_NS)
    clock.run()
    told, furthest = clock.now_ns(), BEGIN_NS
    for step_s, gap_ns in zip(steps_s, gaps_ns, strict=False):
        furthest = max(furthest, told + gap_ns)
        clock.wait_s(told + gap_ns)
        monotonic.now_s += step_s
        assert told <= clock.now_ns() <= furthest
        told = clock.now_ns()


def test_lateness_is_told_in_bounded_memory(monkeypatch) -> None:
    monkeypatch.setattr('visionscaling_ros.bags.lateness.KEPT', 500)
    lateness = Lateness()
    assert lateness.summary() == {}
    for number in range(20_000):
        lateness.add(number % 1000 / 1000)
    lateness.add(-5.0)
    summary = lateness.summary()
    assert summary['p50'] == pytest.approx(500.0, abs=100.0)
    assert summary['p95'] == pytest.approx(950.0, abs=50.0)
    assert summary['max'] == 999.0


def test_the_only_camera_is_chosen_and_its_transport_seen(tmp_path: Path) -> None:
    for topics, name, base, transport in (
        ({'/cam/image_raw': IMAGE}, '/cam/image_raw', '/cam/image_raw', 'raw'),
        ({'/cam/image/compressed': COMPRESSED_IMAGE}, '/cam/image/compressed', '/cam/image',
         'compressed'),
        ({'/jpeg': COMPRESSED_IMAGE}, '/jpeg', '/jpeg', 'compressed'),
        ({'/c/i': IMAGE, '/c/i/compressed': COMPRESSED_IMAGE}, '/c/i', '/c/i', 'raw'),
    ):  # fmt: skip
        path = write_images(tmp_path / base.replace('/', '_') / transport, topics)
        with BagReader(path) as bag:
            chosen = choose_images(bag.topics)
        assert (chosen.name, chosen.base, chosen.transport) == (name, base, transport)
        assert chosen.count == 3
    assert choose_images([BagTopic('/jpeg', COMPRESSED_IMAGE, 1)]).published_name == (
        '/jpeg/compressed'
    )


SEVERAL = (
    BagTopic('/left/image', IMAGE, 10),
    BagTopic('/right/image', IMAGE, 20),
    BagTopic('/right/image/compressed', COMPRESSED_IMAGE, 20),
    BagTopic('/empty', IMAGE, 0),
    BagTopic('/offload', COMPRESSED_IMAGE, 5),
    BagTopic('/inference_node/debug_image', IMAGE, 5),
    BagTopic('/depth/compressedDepth', COMPRESSED_IMAGE, 5),
)


def test_of_several_cameras_one_must_be_named() -> None:
    for topics, asked in ((SEVERAL, ''), (SEVERAL, '/offload'), (SEVERAL, '/empty')):
        with pytest.raises(InvalidValueError) as caught:
            choose_images(topics, asked)
        assert caught.value.name == 'image_topic'
        assert '/left/image (10 images)' in str(caught.value)
        assert '/offload' not in str(caught.value.allowed)
    assert choose_images(SEVERAL, 'left/image').count == 10
    assert choose_images(SEVERAL, '/right/image').transport == 'raw'
    assert choose_images(SEVERAL, '/right/image/compressed').transport == 'compressed'
    assert choose_images(SEVERAL, '/right/image', 'compressed').name == '/right/image/compressed'


def test_a_bag_without_images_says_so() -> None:
    with pytest.raises(InvalidValueError, match='it has none'):
        choose_images([BagTopic('/chatter', STRING, 3)])
