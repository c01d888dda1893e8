"""What a killed gpu_clock_node left is undone by the next start, whatever that one does."""

from __future__ import annotations

from typing import Any

import pytest
from graph_harness import Graph
from hardware_trees import bare
from test_gpu_clock_on_trees import Robot


@pytest.mark.parametrize('next_start', [{'backend': 'none'}, {'state_file': '{folder}/mine.found'}])
def test_the_next_start_undoes_it_whatever_it_sets(
    graph: Graph, next_start: dict[str, Any]
) -> None:
    robot = Robot(graph)
    node = robot.start()
    robot.set(510e6)
    node.kill()
    assert robot.limits_hz() == (510e6, 510e6)
    node = robot.start(
        **{name: value.format(folder=graph.folder) for name, value in next_start.items()}
    )
    assert robot.changed() == set()
    node.wait_for_output('17000000.gpu is restored to the state that it was found in')
    assert node.stop() == 0


def test_two_nodes_with_nothing_to_set_are_not_in_each_others_way(graph: Graph) -> None:
    robot = Robot(graph, bare)
    robot.start()
    second = graph.start(
        'gpu_clock_node',
        parameters={'sysfs_root': str(robot.tree.root), 'helper_socket': ''},
        namespace='/b',
    )
    second.wait_for_output('clock:')
    assert second.stop() == 0
    assert 'already set by' not in second.output
