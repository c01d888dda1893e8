"""What an engine computes on."""

from __future__ import annotations

from visionscaling_ros.vision.engines.extras import import_extra

CUDA_PROVIDER = 'CUDAExecutionProvider'


def device_for(engine: str, device: str) -> str:
    """``device`` as it is; for ``auto`` the first GPU where the engine can use one, else the CPU.

    :param engine: ``torch``, ``onnxruntime`` or ``openvino``.
    """
    if device != 'auto':
        return device
    if engine == 'torch':
        import torch  # noqa: PLC0415 (a second)

        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if engine == 'onnxruntime':
        there = import_extra('onnxruntime').get_available_providers()
        return 'cuda' if CUDA_PROVIDER in there else 'cpu'
    return 'cpu'
