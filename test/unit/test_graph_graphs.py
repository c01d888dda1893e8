"""The graph is one description; every way of starting it reads this one."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from visionscaling_ros.cli import up
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.commands import parameter_files, process_command
from visionscaling_ros.graph.descriptions import NodeDescription, ProgramDescription
from visionscaling_ros.graph.graphs import demo_graph, edge_graph, robot_graph
from visionscaling_ros.graph.options import DemoOptions, EdgeOptions, RobotOptions

FIVE_NODES = [
    'camera_node',
    'inference_node',
    'edge_bridge_node',
    'gpu_clock_node',
    'controller_node',
]


def node_names(graph):
    return [name for item in graph if isinstance(item, NodeDescription) for name in item.node_names]


def parameters_of(graph, node_name):
    for item in graph:
        if isinstance(item, NodeDescription) and node_name in item.node_names:
            return item.parameters[node_name]
    raise AssertionError(f'{node_name} is not in the graph')


@pytest.mark.parametrize('compose', [True, False])
def test_the_same_five_nodes_run_composed_or_not(compose):
    graph = robot_graph(RobotOptions(compose=compose))
    assert node_names(graph) == FIVE_NODES
    assert len(graph) == (4 if compose else 5)


def test_without_our_camera_the_images_come_from_the_given_topic():
    graph = robot_graph(RobotOptions(camera=False, image_topic='/front/image'))
    assert node_names(graph) == FIVE_NODES[1:]
    assert ('image_raw', '/front/image') in graph[0].remappings
    assert ('image_raw/compressed', '/front/image/compressed') in graph[0].remappings
    assert all(item.remappings == () for item in graph[1:])


def test_options_at_their_defaults_set_no_parameter():
    assert all(parameters_of(robot_graph(RobotOptions()), name) == {} for name in FIVE_NODES)


def test_options_reach_the_nodes_they_are_for():
    graph = robot_graph(
        RobotOptions(
            use_sim_time=True,
            autostart=False,
            source='street.mp4',
            rate='12.5',
            image_transport='compressed',
            policy='fixed',
            server='10.0.0.2:8001',
        )
    )
    for name in FIVE_NODES:
        parameters = parameters_of(graph, name)
        assert parameters['use_sim_time'] is True
        assert parameters['autostart'] is False
    assert parameters_of(graph, 'camera_node')['source'] == 'street.mp4'
    assert parameters_of(graph, 'camera_node')['rate_fps'] == 12.5
    assert parameters_of(graph, 'camera_node')['image_transport'] == 'compressed'
    assert parameters_of(graph, 'inference_node')['image_transport'] == 'compressed'
    assert parameters_of(graph, 'controller_node')['policy'] == 'fixed'
    assert parameters_of(graph, 'edge_bridge_node')['server'] == '10.0.0.2:8001'


def test_respawn_reaches_every_process():
    for graph in (
        robot_graph(RobotOptions(use_respawn=True)),
        edge_graph(EdgeOptions(use_respawn=True)),
        demo_graph(DemoOptions(use_respawn=True)),
    ):
        assert all(item.respawn for item in graph)


def test_the_demo_puts_a_shaped_link_between_bridge_and_server():
    graph = demo_graph(DemoOptions(edge_port=7001, link_port=7002, trace='2e6'))
    assert [item.name for item in graph[:2]] == ['edge_server', 'shaped_link']
    assert '7001' in graph[0].arguments
    assert graph[1].arguments == (
        'link',
        '--listen',
        '127.0.0.1:7002',
        '--to',
        '127.0.0.1:7001',
        '--trace',
        '2e6',
    )
    assert parameters_of(graph, 'edge_bridge_node')['server'] == '127.0.0.1:7002'
    assert node_names(graph) == FIVE_NODES


def test_the_trace_of_the_demo_exists():
    assert Path(demo_graph(DemoOptions())[1].arguments[-1]).is_file()


def test_names_of_processes_are_unique():
    for graph in (
        robot_graph(RobotOptions()),
        robot_graph(RobotOptions(compose=False)),
        demo_graph(DemoOptions(compose=False)),
    ):
        names = [item.name for item in graph]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ('namespace', 'full_name'),
    [
        ('', '/camera_node'),
        ('robot1', '/robot1/camera_node'),
        ('/robot1', '/robot1/camera_node'),
        ('/fleet/robot1/', '/fleet/robot1/camera_node'),
    ],
)
def test_parameters_are_written_for_the_full_name_of_each_node(tmp_path, namespace, full_name):
    graph = robot_graph(RobotOptions(namespace=namespace, source='0', image_transport='raw'))
    (path,) = parameter_files(graph[0], tmp_path)
    content = yaml.safe_load(Path(path).read_text())
    assert content[full_name] == {'ros__parameters': {'source': '0', 'image_transport': 'raw'}}
    assert len(content) == 2


def test_parameters_of_the_options_come_after_the_file_of_the_user(tmp_path):
    own = tmp_path / 'own.yaml'
    own.write_text('/**: {ros__parameters: {policy: fixed}}')
    graph = robot_graph(RobotOptions(params_file=str(own), policy='local_only'))
    assert parameter_files(graph[-1], tmp_path) == [
        str(own),
        str(tmp_path / 'controller_node.yaml'),
    ]
    assert parameter_files(graph[1], tmp_path) == [str(own)]


def test_the_command_of_a_node_runs_the_program_that_ros2_run_finds(tmp_path):
    node = robot_graph(RobotOptions(namespace='r1', log_level='debug', image_topic='cam'))[0]
    command = process_command(node, tmp_path)
    assert Path(command[1]).name == 'composed_node'
    assert Path(command[1]).is_file()
    text = ' '.join(command)
    assert '--ros-args --log-level debug -r __ns:=/r1 -r image_raw:=cam' in text


def test_the_command_of_a_program_is_a_subcommand_of_visionscaling(tmp_path):
    command = process_command(ProgramDescription(name='x', arguments=('up', '--edge')), tmp_path)
    assert Path(command[1]).name == 'visionscaling'
    assert command[2:] == ['up', '--edge']


def parse_up(*words):
    parser = argparse.ArgumentParser()
    up.add_arguments(parser)
    return up.described_graph(parser.parse_args(words))


def test_up_without_arguments_is_the_robot_with_defaults():
    assert parse_up() == robot_graph(RobotOptions())


def test_up_takes_every_option():
    assert parse_up('--no-compose', '--namespace', 'r1', '--use-respawn', '--policy', 'fixed') == (
        robot_graph(RobotOptions(compose=False, namespace='r1', use_respawn=True, policy='fixed'))
    )
    assert parse_up('--edge', '--port', '9001') == edge_graph(EdgeOptions(port=9001))
    assert parse_up('--demo', '--link-port', '9002', '--trace', '1e6') == demo_graph(
        DemoOptions(link_port=9002, trace='1e6')
    )


@pytest.mark.parametrize('words', [('--edge', '--policy', 'fixed'), ('--trace', '1e6')])
def test_up_refuses_an_option_of_another_graph(words):
    with pytest.raises(InvalidValueError, match=words[-2].strip('-')):
        parse_up(*words)


def test_the_edge_servers_files_are_passed_on(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ('tls_certificate', 'tls_key', 'tokens')}
    for path in files.values():
        path.write_text('x')
    options = EdgeOptions(
        host='0.0.0.0', metrics_port='9100', **{name: str(path) for name, path in files.items()}
    )
    (server,) = edge_graph(options)
    words = list(server.arguments)
    for name, value in {**files, 'metrics_port': '9100'}.items():
        assert words[words.index('--' + name.replace('_', '-')) + 1] == str(value)
    assert '--insecure' not in words
    (open_to_all,) = edge_graph(EdgeOptions(host='0.0.0.0'))
    assert open_to_all.arguments[-1] == '--insecure'
    with pytest.raises(InvalidValueError, match='tokens'):
        EdgeOptions(tokens='/nowhere.yaml')
    with pytest.raises(InvalidValueError, match='metrics_port'):
        EdgeOptions(metrics_port='66000')
