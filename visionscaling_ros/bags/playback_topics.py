"""Which topics of a bag are played, and under which names."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from visionscaling_ros.bags.stored import BagTopic
from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.installed import PACKAGE

CLOCK = '/clock'
# What the nodes of this package publish besides messages of its own types, and what any node does.
OUTPUTS = (
    'offload', 'detections', 'debug_image', 'diagnostics', 'rosout', 'parameter_events',
    'transition_event',
)  # fmt: skip
GROUND_TRUTH = 'ground_truth'  # of this package's type, yet a camera's: an input


@dataclass(frozen=True)
class PlayedTopics:
    """A choice of a bag's topics.

    :param only: patterns (``*``, ``?``) of names to play; empty for all.
    :param exclude: patterns of names not to play.
    :param remappings: names in the bag and the names to play them under.
    :param inputs_only: leave out what this package's own nodes publish.
    """

    only: Sequence[str] = ()
    exclude: Sequence[str] = ()
    remappings: Mapping[str, str] = field(default_factory=dict)
    inputs_only: bool = False

    def names(self, there: Sequence[BagTopic]) -> dict[str, str]:
        """Names to play by names in the bag; raises InvalidValueError for what it does not have.

        Topics without messages are not played.
        """
        known = {absolute(topic.name): topic for topic in there}
        wanted = matching('topics', self.only, known) if self.only else set(known)
        wanted -= matching('exclude', self.exclude, known)
        if self.inputs_only:
            wanted = {name for name in wanted if is_input(known[name])}
        matching('remap', tuple(self.remappings), known)
        new = {absolute(old): absolute(name) for old, name in self.remappings.items()}
        played = {
            topic.name: new.get(name, name)
            for name, topic in known.items()
            if name in wanted and topic.count
        }
        for name, count in Counter(played.values()).items():
            if count > 1:
                raise InvalidValueError('remap', name, 'a name that no other topic is played under')
        return played


def matching(option: str, patterns: Sequence[str], known: Collection[str]) -> set[str]:
    """The names that a pattern matches; raises InvalidValueError for one that matches none."""
    names = {absolute(name): name for name in known}
    found: set[str] = set()
    for pattern in patterns:
        matches = fnmatch.filter(names, absolute(pattern))
        if not matches:
            allowed = f'a topic of the bag: {", ".join(names) or "it has none"}'
            raise InvalidValueError(option, pattern, allowed)
        found.update(names[name] for name in matches)
    return found


def is_input(topic: BagTopic) -> bool:
    """Whether no node of this package but a camera publishes it."""
    last = topic.name.rpartition('/')[2]
    if topic.message_type.startswith(f'{PACKAGE}/'):
        return last == GROUND_TRUTH
    return last not in OUTPUTS


def parse_remappings(texts: Sequence[str]) -> dict[str, str]:
    """From ``from:=to``; raises InvalidValueError."""
    found = {}
    for text in texts:
        old, separator, new = text.partition(':=')
        if not (separator and old and new):
            raise InvalidValueError('remap', text, 'from:=to, two names of topics')
        found[old] = new
    return found
