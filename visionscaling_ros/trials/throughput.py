"""The embedded server against Triton: same network, same runtime, same threads, in turns."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import OUTPUTS, build_request
from visionscaling_ros.edge.wire.tensors import read_tensor
from visionscaling_ros.errors import EdgeError, InvalidValueError
from visionscaling_ros.serving.repository import write_repository
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.tensor_model import ManifestTensorModel
from visionscaling_ros.trials.closed_loop import LoadFigures, put_under_load
from visionscaling_ros.trials.running_server import RunningServer, running_server
from visionscaling_ros.trials.triton_installation import WHEEL, install_triton
from visionscaling_ros.trials.triton_server import running_triton
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog
from visionscaling_ros.vision.input_writer import InputWriter, plain_memory
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource
from visionscaling_ros.vision.user_folders import cache_folder

NAME = 'throughput'
HELP = 'requests per second and latencies beside a Triton server with the same network'

POINTS = (('vsdet_s', 256), ('vsdet_m', 320))
JPEG, TENSOR = 'jpeg', 'tensor'
OURS, TRITON = 'embedded', 'triton'
TARGET_RATIO = 0.85
DEADLINE_S = 60.0
# Both run the same file with the same library; their answers differ by the order of additions.
SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Question:
    """A request, as each of the two servers wants it."""

    payload: str
    model: str
    input_size_px: int
    messages: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f'{self.payload} {self.model}@{self.input_size_px}'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--clients', type=int, nargs='+', default=[1, 4, 16], metavar='N', help='at once'
    )
    parser.add_argument(
        '--payloads', nargs='+', choices=(TENSOR, JPEG), default=[TENSOR, JPEG], help='to send'
    )
    parser.add_argument(
        '--rounds', type=int, default=5, metavar='N', help='turns of each server (%(default)s)'
    )
    parser.add_argument(
        '--seconds', type=float, default=2.0, metavar='S', help='of each turn (%(default)s)'
    )
    parser.add_argument(
        '--workers', type=int, default=1, metavar='N', help='copies of the network (%(default)s)'
    )
    parser.add_argument(
        '--threads', type=int, default=1, metavar='N', help='of each copy (%(default)s)'
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure; prints a table, returns the figures. Installs Triton the first time."""
    for name in ('rounds', 'seconds', 'workers', 'threads'):
        if not getattr(arguments, name) > 0:
            raise InvalidValueError(f'--{name}', getattr(arguments, name), 'above 0')
    if min(arguments.clients) < 1:
        raise InvalidValueError('--clients', min(arguments.clients), 'at least 1')
    console = Console(stderr=True)
    with ExitStack() as stack:
        status = stack.enter_context(console.status(f'installing {WHEEL}'))
        installation = install_triton(cache_folder() / 'servers')
        status.update('starting both servers')
        catalog = built_in_catalog()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _write_repository(catalog, folder, arguments)
        addresses = {
            OURS: stack.enter_context(_embedded(arguments)).address,
            TRITON: stack.enter_context(running_triton(installation, folder)),
        }
        questions = [
            _question(catalog, payload, *point)
            for payload in arguments.payloads
            for point in POINTS
        ]
        for question in questions:
            _check_same_answer(addresses, question)
        rows = []
        for question in questions:
            for clients in arguments.clients:
                status.update(f'{question.name}, {clients} clients')
                rows.append(_compare(addresses, question, clients, arguments))
    _print(rows)
    return {
        'third_party_server': WHEEL,
        'workers': arguments.workers,
        'threads': arguments.threads,
        'target_ratio': TARGET_RATIO,
        'lowest_ratio': min(row['ratio'] for row in rows),
        'rows': rows,
    }


def _embedded(
    arguments: argparse.Namespace,
) -> AbstractContextManager[RunningServer]:
    options = ['--inference-engine', 'onnxruntime', '--device', 'cpu']
    options += ['--threads', str(arguments.threads), '--workers', str(arguments.workers)]
    return running_server([model for model, _ in POINTS], *options)


def _write_repository(catalog: Catalog, folder: Path, arguments: argparse.Namespace) -> None:
    options = RepositoryOptions(
        backend='python', instances=arguments.workers, threads=arguments.threads
    )
    write_repository([catalog.entry(model) for model, _ in POINTS], folder, options)


def _question(catalog: Catalog, payload: str, model: str, input_size_px: int) -> Question:
    """A street picture for a model; Triton's network has a name of its own."""
    entry = catalog.entry(model)
    image_bgr = SyntheticSource(1, 640, 480, 30.0).read().image_bgr
    data, shape = encode_jpeg(resize_for_upload(image_bgr, input_size_px)), None
    names = {OURS: model, TRITON: model}
    if payload == TENSOR:
        form = entry.manifest.input
        writer = InputWriter(form, plain_memory, channels_last=form.layout == 'nhwc')
        batch = writer.write(image_bgr, input_size_px).batch
        data, shape = batch.tobytes(), batch.shape
        names[TRITON] = f'{model}_network'
    messages = {}
    for server, name in names.items():
        frame = OffloadFrame(
            1, 0, name, input_size_px, data, 640, 480, DEADLINE_S, tensor_shape=shape
        )
        request = build_request(
            frame,
            robot_id='load',
            deadline_s=DEADLINE_S,
            tensor_model=ManifestTensorModel(entry),
        )
        messages[server] = request.SerializeToString()
    return Question(payload, model, input_size_px, messages)


def _check_same_answer(addresses: Mapping[str, str], question: Question) -> None:
    """Raise EdgeError unless both servers find the same."""
    answers = []
    for server, address in addresses.items():
        request = service_pb2.ModelInferRequest.FromString(question.messages[server])
        with grpc.insecure_channel(address) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                response = stub.ModelInfer(request, timeout=DEADLINE_S)
            except grpc.RpcError as error:
                text = f'{server}: {question.name}: {error.code().name}: {error.details()}'
                raise EdgeError(text) from error
        shape = OUTPUTS['scores'][1] if question.payload == JPEG else (1, -1, -1)
        answers.append(
            read_tensor(response.outputs, response.raw_output_contents, 'scores', 'FP32', shape)
        )
    ours, theirs = answers
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, atol=SCORE_TOLERANCE):
        raise EdgeError(f'{question.name}: the servers do not find the same')


def _compare(
    addresses: Mapping[str, str], question: Question, clients: int, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Both servers in turns under the same load: medians over the turns."""
    turns: dict[str, list[LoadFigures]] = {server: [] for server in addresses}
    for number in range(arguments.rounds):
        order = [OURS, TRITON] if number % 2 == 0 else [TRITON, OURS]
        for server in order:
            turns[server].append(
                put_under_load(
                    addresses[server],
                    question.messages[server],
                    clients=clients,
                    duration_s=arguments.seconds,
                )
            )
    figures = {server: _medians(own) for server, own in turns.items()}
    ratios = [
        ours.requests_per_s / theirs.requests_per_s
        for ours, theirs in zip(turns[OURS], turns[TRITON], strict=True)
    ]
    return {
        'payload': question.payload,
        'model': question.model,
        'input_size_px': question.input_size_px,
        'clients': clients,
        **{server: asdict(own) for server, own in figures.items()},
        'ratio': statistics.median(ratios),
        'ratios': ratios,
    }


def _medians(turns: list[LoadFigures]) -> LoadFigures:
    rows = [tuple(asdict(turn).values()) for turn in turns]
    return LoadFigures(*map(statistics.median, zip(*rows, strict=True)))


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(
        title='requests/s, latencies in ms: medians over the turns', box=None, padding=(0, 1, 0, 0)
    )
    columns = ('payload', 'clients', OURS, 'p50', 'p99', TRITON, 'p50', 'p99', 'ratio')
    for place, column in enumerate(columns):
        table.add_column(column, justify='right' if place else 'left', no_wrap=True)
    for row in rows:
        cells = [f'{row["payload"]} {row["model"]}@{row["input_size_px"]}', str(row['clients'])]
        for server in (OURS, TRITON):
            figures = row[server]
            cells.append(f'{figures["requests_per_s"]:.1f}')
            cells.append(f'{1e3 * figures["latency_p50_s"]:.1f}')
            cells.append(f'{1e3 * figures["latency_p99_s"]:.1f}')
        table.add_row(*cells, f'{row["ratio"]:.2f}')
    Console().print(table)
