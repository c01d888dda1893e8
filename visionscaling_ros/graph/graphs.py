"""Which processes make up the robot, the edge server and the demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from visionscaling_ros.graph.descriptions import (
    NodeDescription,
    ParameterValue,
    ProcessDescription,
    ProgramDescription,
)
from visionscaling_ros.graph.options import (
    CameraOptions,
    DemoOptions,
    EdgeOptions,
    RobotOptions,
)
from visionscaling_ros.installed import share_directory

CAMERA = 'camera_node'
INFERENCE = 'inference_node'
EDGE_BRIDGE = 'edge_bridge_node'
GPU_CLOCK = 'gpu_clock_node'
CONTROLLER = 'controller_node'
COMPOSED = 'composed_node'  # camera and inference in one process
EDGE_SERVER = 'edge_server'
SHAPED_LINK = 'shaped_link'

LOCALHOST = '127.0.0.1'
DEMO_TRACE = 'config/traces/demo.csv'
DEMO_PARAMETERS = 'config/demo.yaml'
DEMO_RATE_FPS = '30'  # of the synthetic street; anything else has a rate of its own
SYNTHETIC = 'synthetic'

Parameters = dict[str, dict[str, ParameterValue]]


def robot_graph(options: RobotOptions) -> tuple[ProcessDescription, ...]:
    """The nodes that run on the robot."""
    return _nodes(
        options, server=options.server, camera=options.camera, image_topic=options.image_topic
    )


def edge_graph(options: EdgeOptions) -> tuple[ProcessDescription, ...]:
    """The inference server at the other end of the link."""
    arguments: list[str] = []
    for name in ('tls_certificate', 'tls_key', 'client_ca', 'tokens', 'metrics_port'):
        value = getattr(options, name)
        if value:
            arguments += [f'--{name.replace("_", "-")}', value]
    if not (options.tls_certificate or options.tokens):
        # A host of others is all it takes here; the server warns of what that means.
        arguments.append('--insecure')
    return (_edge_server(options.host, options.port, *arguments, respawn=options.use_respawn),)


def demo_graph(options: DemoOptions) -> tuple[ProcessDescription, ...]:
    """Robot and edge server on one machine, with a shaped link in between."""
    link = ProgramDescription(
        name=SHAPED_LINK,
        arguments=(
            'link',
            '--listen',
            f'{LOCALHOST}:{options.link_port}',
            '--to',
            f'{LOCALHOST}:{options.edge_port}',
            '--trace',
            options.trace or str(share_directory() / DEMO_TRACE),
        ),
        respawn=options.use_respawn,
    )
    server = f'{LOCALHOST}:{options.link_port}'
    if not options.rate and options.source in ('', SYNTHETIC):
        options = replace(options, rate=DEMO_RATE_FPS)
    options = replace(
        options, params_file=options.params_file or str(share_directory() / DEMO_PARAMETERS)
    )
    return (
        _edge_server(LOCALHOST, options.edge_port, respawn=options.use_respawn),
        link,
        *_nodes(options, server=server, camera=True, image_topic=''),
    )


def _edge_server(host: str, port: int, *more: str, respawn: bool) -> ProgramDescription:
    arguments = ('edge-server', '--host', host, '--port', str(port), *more)
    return ProgramDescription(name=EDGE_SERVER, arguments=arguments, respawn=respawn)


def _nodes(
    options: CameraOptions, *, server: str, camera: bool, image_topic: str
) -> tuple[NodeDescription, ...]:
    parameters = _parameters(options, server)
    remappings = _image_remappings(image_topic)

    def node(executable: str, *names: str) -> NodeDescription:
        node_names = names or (executable,)
        return NodeDescription(
            executable=executable,
            node_names=node_names,
            namespace=options.namespace,
            parameters={name: parameters[name] for name in node_names},
            params_file=str(Path(options.params_file).resolve()) if options.params_file else '',
            remappings=remappings if {CAMERA, INFERENCE} & set(node_names) else (),
            log_level=options.log_level,
            respawn=options.use_respawn,
        )

    if not camera:
        vision = [node(INFERENCE)]
    elif options.compose:
        vision = [node(COMPOSED, CAMERA, INFERENCE)]
    else:
        vision = [node(CAMERA), node(INFERENCE)]
    return (*vision, node(EDGE_BRIDGE), node(GPU_CLOCK), node(CONTROLLER))


def _parameters(options: CameraOptions, server: str) -> Parameters:
    common: dict[str, ParameterValue] = {}
    if options.use_sim_time:
        common['use_sim_time'] = True
    if not options.autostart:
        common['autostart'] = False
    own: Parameters = {
        CAMERA: {'source': options.source, 'image_transport': options.image_transport},
        INFERENCE: {'image_transport': options.image_transport},
        EDGE_BRIDGE: {'server': server},
        GPU_CLOCK: {},
        CONTROLLER: {'policy': options.policy},
    }
    if options.rate:
        own[CAMERA]['rate_fps'] = float(options.rate)
    return {
        name: {**common, **{key: value for key, value in values.items() if value != ''}}
        for name, values in own.items()
    }


def _image_remappings(image_topic: str) -> tuple[tuple[str, str], ...]:
    if not image_topic:
        return ()
    return (
        ('image_raw', image_topic),
        ('image_raw/compressed', f'{image_topic}/compressed'),
    )
