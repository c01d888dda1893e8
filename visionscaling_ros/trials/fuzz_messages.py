"""Requests that no robot sends: bent, lying, and images that are larger than they look."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Any

from tritonclient.grpc import service_pb2

from visionscaling_ros.trials.fuzz_target import Target

_MOST = 2**63 - 1
_NUMBERS = (0, -1, 1, 2, 3, 255, 65_536, 2**31 - 1, 2**31, 2**32, 2**40, _MOST, -_MOST - 1)
_BOMB_PX = 30_000
_OTHER_FORMATS = (
    b'RIFF\xff\xff\xff\x7fWEBPVP8X\n\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff',
    b'II*\0\x08\0\0\0\x02\0\0\1\4\0\1\0\0\0\xff\xff\0\0\1\1\4\0\1\0\0\0\xff\xff\0\0\0\0\0\0',
    b'GIF89a\xff\xff\xff\xff\xf7\0\0',
    b'BM\xff\xff\xff\x7f\0\0\0\0\x36\0\0\0\x28\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f\1\0\x18\0',
    b'\0\0\0\x0cjP  \r\n\x87\n',
    b'v/1\1\2\0\0\0channels\0chlist\0',
    b'P6 65535 65535 255\n',
    b'<svg xmlns="http://www.w3.org/2000/svg"/>',
)


def good_request(target: Target, image: bytes | None = None) -> Any:
    """What a robot would send."""
    request = service_pb2.ModelInferRequest(model_name=target.model, id='1')
    request.inputs.add(name='image', datatype='BYTES', shape=[1])
    image = target.frame if image is None else image
    request.raw_input_contents.append(struct.pack('<I', len(image)) + image)
    request.parameters['input_size_px'].int64_param = target.input_size_px
    request.parameters['deadline_s'].double_param = 1.0
    return request


def mutated(rng: random.Random, data: bytes) -> bytes:
    """``data`` with a few bytes changed, cut, doubled or moved, mostly near its beginning."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = (
            rng.randrange(len(result))
            if rng.random() < 0.3
            else rng.randrange(min(80, len(result)))
        )
        length = rng.choice((1, 1, 2, 4, 16, 200))
        kind = rng.randrange(5)
        if kind == 0:
            result[at] = rng.randrange(256)
        elif kind == 1:
            result[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del result[at : at + length]
        elif kind == 3:
            result[at:at] = result[at : at + length]
        else:
            result = result[: max(1, at)] if rng.random() < 0.2 else result
        if not result:
            return b'\0'
    return bytes(result)


def lying_request(rng: random.Random, target: Target) -> bytes:
    """Well-formed, with shapes, lengths, types or parameters that cannot be."""
    request = good_request(target)
    tensor = request.inputs[0]
    kind = rng.randrange(8)
    if kind == 0:
        del tensor.shape[:]
        tensor.shape.extend(rng.choice(_NUMBERS) for _ in range(rng.randint(0, 9)))
    elif kind == 1:
        request.raw_input_contents[0] = struct.pack('<I', rng.randrange(2**32)) + b'abc'
    elif kind == 2:
        tensor.name, tensor.datatype = 'input', 'FP32'
        tensor.shape[:] = [1, 3, rng.choice(_NUMBERS), rng.choice(_NUMBERS)]
    elif kind == 3:
        tensor.name, tensor.datatype = 'input', rng.choice(('FP32', 'FP16', 'INT8', ''))
        tensor.shape[:] = [1, 3, target.input_size_px, target.input_size_px]
        request.raw_input_contents[0] = rng.randbytes(rng.choice((0, 3, 4096, 3 << 18)))
    elif kind == 4:
        request.parameters['input_size_px'].int64_param = rng.choice(_NUMBERS)
        request.parameters['slot'].int64_param = rng.choice(_NUMBERS)
    elif kind == 5:
        value = rng.choice((float('nan'), float('inf'), -1.0, 1e308, 0.0))
        request.parameters['deadline_s'].double_param = value
        request.parameters['robot_id'].string_param = 'x' * rng.choice((1, 1000, 60_000))
    elif kind == 6:
        request.model_name = rng.choice(('', '../../etc/passwd', 'x' * 60_000, target.model + '\0'))
    else:
        del request.raw_input_contents[:]
        tensor.contents.fp32_contents.extend(rng.random() for _ in range(rng.randrange(5000)))
        tensor.contents.bytes_contents.extend(b'x' for _ in range(rng.randrange(50)))
    data: bytes = request.SerializeToString()
    return data


def image_bomb(rng: random.Random, target: Target) -> bytes:
    """A request whose image costs more than it should, or is none."""
    kind = rng.randrange(6)
    if kind == 0:
        image = _resized_jpeg(target.frame, _BOMB_PX, _BOMB_PX)
    elif kind == 1:
        image = _resized_jpeg(target.frame, *(rng.choice((0, 1, 4096, 65_535)) for _ in 'ab'))
    elif kind == 2:
        image = target.frame[: rng.randrange(len(target.frame))]
    elif kind == 3:
        image = png(*rng.choice(((_BOMB_PX, _BOMB_PX), (1, 2**31 - 1), (4000, 4000), (0, 0))))
    elif kind == 4:
        image = rng.choice(_OTHER_FORMATS) + rng.randbytes(rng.randrange(2000))
    else:
        image = mutated(rng, target.frame)
    data: bytes = good_request(target, image).SerializeToString()
    return data


def crowded(rng: random.Random, size_bytes: int) -> bytes:
    """Megabytes of empty parts."""
    tag = rng.choice((b'\x22\x00', b'\x2a\x00', b'\x32\x00', b'\x3a\x00'))
    return tag * (size_bytes // 2)


def png(width_px: int, height_px: int) -> bytes:
    """A black image, grey; of more than 16 million pixels only the beginning."""
    rows = min(height_px, (1 << 24) // (width_px + 1))
    header = struct.pack('>IIBBBBB', width_px, height_px, 8, 0, 0, 0, 0)
    packed = zlib.compressobj(1)
    content = b''.join([packed.compress(bytes(width_px + 1)) for _ in range(rows)])
    parts = ((b'IHDR', header), (b'IDAT', content + packed.flush()), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        for name, body in parts
    )


def _resized_jpeg(jpeg: bytes, width_px: int, height_px: int) -> bytes:
    """The same file, saying it had another size."""
    for marker in (b'\xff\xc0', b'\xff\xc2'):
        at = jpeg.find(marker)
        if at != -1:
            size = struct.pack('>HH', height_px, width_px)
            return jpeg[: at + 5] + size + jpeg[at + 9 :]
    return jpeg
