"""Node parameters: declared once, with unit and range, checked whenever they are set."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from visionscaling_ros.errors import InvalidValueError

INTEGER_MAX = 2**31 - 1


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node.

    :param unit: unit of a quantity, for example ``s``; empty for none.
    :param minimum: smallest value allowed; ``maximum`` likewise. None: unbounded.
    :param choices: the only values allowed (of each element, for a list). Empty: any.
    :param read_only: cannot be changed after start.
    """

    name: str
    default: Any
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    read_only: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        if self.choices:
            return ', '.join(repr(choice) for choice in self.choices)
        low = '-inf' if self.minimum is None else f'{self.minimum:g}'
        high = 'inf' if self.maximum is None else f'{self.maximum:g}'
        unit = f' {self.unit}' if self.unit else ''
        return f'{low} to {high}{unit}'

    def accept(self, value: Any) -> Any:
        """``value`` as the node uses it.

        A whole number becomes a float or a text where that is wanted (a rate of 30, camera 0), an
        array a list.

        Raises InvalidValueError unless it is allowed.
        """
        if isinstance(self.default, float | str) and type(value) is int:
            value = type(self.default)(value)
        elif isinstance(self.default, list) and value is not None:
            value = list(value)
        self._check(value)
        return value

    def _check(self, value: Any) -> None:
        items = value if isinstance(value, list) else [value]
        if isinstance(self.default, float) and not isinstance(value, float):
            raise InvalidValueError(self.name, value, f'a number, {self.allowed}')
        if isinstance(self.default, str) and not isinstance(value, str):
            raise InvalidValueError(self.name, value, self.allowed if self.choices else 'a text')
        for item in items:
            if self.choices and item not in self.choices:
                raise InvalidValueError(self.name, item, self.allowed)
            if isinstance(item, bool | str):
                continue
            if (
                (isinstance(item, float) and math.isnan(item))
                or (self.minimum is not None and item < self.minimum)
                or (self.maximum is not None and item > self.maximum)
            ):
                raise InvalidValueError(self.name, item, self.allowed)

    def descriptor(self) -> ParameterDescriptor:
        """The ROS descriptor: description with unit, allowed values and range; not read-only."""
        unit = f' [{self.unit}]' if self.unit else ''
        descriptor = ParameterDescriptor(
            description=f'{self.description}{unit}',
            dynamic_typing=isinstance(self.default, float | str),  # see accept
        )
        if self.choices:
            descriptor.additional_constraints = f'one of {self.allowed}'
        elif self.minimum is not None or self.maximum is not None:
            descriptor.additional_constraints = self.allowed
            _set_range(descriptor, self)
        return descriptor


class NodeParameters(Mapping[str, Any]):
    """The parameters of one node: ``parameters['name']`` is always a value that passed its checks.

    A value given at start that is not allowed, or does not fit the others, is refused with an error
    in the log, and the default stays; a value set later is refused with the reason in the
    service's answer.

    :param check_all: raises InvalidValueError for combinations that are not allowed.
    :param on_change: called with the names that changed, after they did.
    """

    def __init__(
        self,
        node: Node,
        declarations: Sequence[Parameter],
        *,
        check_all: Callable[[Mapping[str, Any]], None] = lambda values: None,
        on_change: Callable[[set[str]], None] = lambda names: None,
    ) -> None:
        self._declarations = {declaration.name: declaration for declaration in declarations}
        self._check_all = check_all
        self._on_change = on_change
        self._values = {d.name: _declare(node, d) for d in declarations}
        self._settle_combination(node)
        for d in declarations:
            if d.read_only:  # only now: one that is read-only cannot be declared anew
                descriptor = copy.deepcopy(node.describe_parameter(d.name))
                descriptor.read_only = True
                node.set_descriptor(d.name, descriptor)
        node.add_on_set_parameters_callback(self._on_set)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _settle_combination(self, node: Node) -> None:
        """Use the default of each parameter that is named as not fitting the others."""
        for _ in self._declarations:
            refusal = self._refusal()
            if refusal is None:
                return
            named = self._declarations.get(refusal.name)
            if named is None or self._values[named.name] == named.default:
                break
            node.get_logger().error(f'{refusal}; using {named.default!r}')
            self._values[named.name] = _use_default(node, named)
        node.get_logger().error(f'{refusal}; all parameters keep their defaults')
        self._values = {d.name: _use_default(node, d) for d in self._declarations.values()}

    def _refusal(self) -> InvalidValueError | None:
        try:
            self._check_all(self._values)
        except InvalidValueError as error:
            return error
        return None

    def _on_set(self, proposed: list[RosParameter]) -> SetParametersResult:
        known = [p for p in proposed if p.name in self._declarations]
        try:
            values = {p.name: self._declarations[p.name].accept(p.value) for p in known}
            self._check_all({**self._values, **values})
        except InvalidValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        changed = {name for name, value in values.items() if value != self._values[name]}
        self._values.update(values)
        if changed:
            self._on_change(changed)
        return SetParametersResult(successful=True)


def _declare(node: Node, declaration: Parameter) -> Any:
    descriptor = declaration.descriptor()
    try:
        return declaration.accept(
            node.declare_parameter(declaration.name, declaration.default, descriptor).value
        )
    except (
        InvalidValueError,
        InvalidParameterTypeException,
        InvalidParameterValueException,
    ) as error:
        words = (
            error
            if isinstance(error, InvalidValueError)
            else f'{declaration.name}: {error}; allowed: {declaration.allowed}'
        )
        node.get_logger().error(f'{words}; using {declaration.default!r}')
        return _use_default(node, declaration)


def _use_default(node: Node, declaration: Parameter) -> Any:
    if node.has_parameter(declaration.name):
        node.undeclare_parameter(declaration.name)
    node.declare_parameter(
        declaration.name, declaration.default, declaration.descriptor(), ignore_override=True
    )
    return declaration.default


def _set_range(descriptor: ParameterDescriptor, declaration: Parameter) -> None:
    low, high = declaration.minimum, declaration.maximum
    if isinstance(declaration.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-math.inf if low is None else float(low),
                to_value=math.inf if high is None else float(high),
            )
        ]
    elif isinstance(declaration.default, int):
        descriptor.integer_range = [
            IntegerRange(
                from_value=-INTEGER_MAX if low is None else int(low),
                to_value=INTEGER_MAX if high is None else int(high),
                step=1,
            )
        ]
