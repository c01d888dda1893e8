"""The graph as plain data: which processes run, and with which values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ParameterValue = bool | int | float | str

RESPAWN_DELAY_S = 2.0


@dataclass(frozen=True, kw_only=True)
class NodeDescription:
    """One process of ROS nodes.

    :param executable: program in ``lib/visionscaling_ros``.
    :param node_names: the nodes it runs.
    :param parameters: values by node name and parameter; they win over ``params_file``.
    :param params_file: parameter file, '' for none.
    :param remappings: pairs (from, to) of topic names.
    :param respawn: start it again when it ends by itself.
    """

    executable: str
    node_names: tuple[str, ...]
    namespace: str = ''
    parameters: Mapping[str, Mapping[str, ParameterValue]] = field(default_factory=dict)
    params_file: str = ''
    remappings: tuple[tuple[str, str], ...] = ()
    log_level: str = 'info'
    respawn: bool = False

    @property
    def name(self) -> str:
        """What the process is called in the output."""
        return self.executable

    def full_name(self, node_name: str) -> str:
        """Name of a node with its namespace, from the root."""
        return '/'.join(['', *self.namespace.strip('/').split('/'), node_name]).replace('//', '/')


@dataclass(frozen=True, kw_only=True)
class ProgramDescription:
    """One process that is no ROS node: a ``visionscaling`` subcommand.

    :param name: what the process is called in the output.
    :param arguments: the subcommand and its arguments.
    :param ends_graph: when it ends, so does everything else.
    """

    name: str
    arguments: tuple[str, ...]
    respawn: bool = False
    ends_graph: bool = False


ProcessDescription = NodeDescription | ProgramDescription
