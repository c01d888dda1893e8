"""What a robot sends of a frame to an inference server, as a manifest says it."""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.output_format import OutputFormat

JPEG, TENSOR = 'jpeg', 'tensor'
PAYLOADS = (JPEG, TENSOR)
VSDET_INPUT = 'images'  # as the export of this package's own network names it


@dataclass(frozen=True)
class UploadFormat:
    """The payload, and the names of the network's tensors where they are known without its file.

    :param payload: one of ``PAYLOADS``; with ``tensor`` all names are known.
    :param input: of the input tensor, None where it is not known.
    :param outputs: of the output tensors in the order of the decoder, None where one is not known.
    """

    payload: str = JPEG
    input: str | None = None
    outputs: tuple[str, ...] | None = None

    @property
    def sends_tensor(self) -> bool:
        """Whether the network's input is sent, not a JPEG."""
        return self.payload == TENSOR


def read_upload_format(fields: Fields, network_format: str, output: OutputFormat) -> UploadFormat:
    """The ``offload`` of a manifest. Raises InvalidValueError naming the field."""
    payload = fields.choice('payload', PAYLOADS, JPEG)
    named_input = fields.text('input') if fields.has('input') else _input(network_format)
    named = fields.mapping('outputs', optional=True)
    found = [
        named.text(role) if named.has(role) else _output(network_format, role, tensor)
        for role, tensor in zip(output.decoder.roles, output.tensors, strict=True)
    ]
    named.done()
    outputs = tuple(name for name in found if name is not None)
    if payload == TENSOR:
        missing = [role for role, name in zip(output.decoder.roles, found, strict=True) if not name]
        if named_input is None:
            allowed = "the input tensor's name on the server, with payload tensor"
            raise InvalidValueError(fields.name_of('input'), None, allowed)
        if missing:
            allowed = "the output tensor's name on the server, with payload tensor"
            raise InvalidValueError(named.name_of(missing[0]), None, allowed)
    if len(set(outputs)) < len(outputs):
        raise InvalidValueError(fields.name_of('outputs'), list(outputs), 'every name once')
    fields.done()
    return UploadFormat(payload, named_input, outputs if len(outputs) == len(found) else None)


def _input(network_format: str) -> str | None:
    return {'vsdet': VSDET_INPUT, 'torchscript': 'INPUT__0'}.get(network_format)


def _output(network_format: str, role: str, tensor: str | int) -> str | None:
    if network_format == 'vsdet':
        return role
    if isinstance(tensor, str):
        return tensor
    # the tensors of TorchScript have no names, and this is what Triton calls them
    return f'OUTPUT__{tensor}' if network_format == 'torchscript' else None
