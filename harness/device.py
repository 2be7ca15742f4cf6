"""Where a cell runs: choice of the device, its precision, and the memory it took."""

import contextlib
import os
import platform
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from harness.errors import HarnessError

MIB = 2**20


def check(name: str) -> None:
    """Refuse a device that this machine lacks.

    Raises:
        HarnessError: naming what was asked for and what there is.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise HarnessError(f"unknown device {name!r}: use cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise HarnessError(f"device {name!r} is not supported: use cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} CUDA device{'s' * (count > 1)}" if count else "no CUDA device"
        raise HarnessError(f"--device {name}: this machine has {found}; use --device cpu")


def slots(name: str) -> list[str]:
    """Return the devices that cells are spread over: all GPUs for `cuda`, else the one named.

    `auto` means all GPUs where there are any, else the CPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.device_count() else "cpu"
    check(name)
    if name == "cuda":
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return [name]


def label(device: torch.device) -> str:
    """Return the device's product name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def configure(device: torch.device, precision: str) -> None:
    """Set precision, and determinism: the same run gives the same bits on the same device."""
    exact = precision == "float32"
    torch.set_float32_matmul_precision("highest" if exact else "high")
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.allow_tf32 = not exact
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        # A layer without a deterministic form warns in the cell's log instead of failing.
        torch.use_deterministic_algorithms(True, warn_only=True)


@contextlib.contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Run the network in bfloat16 where the protocol asks for it; losses stay in float32."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement of the peak memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux: 5 resets the high-water mark
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mib(device: torch.device) -> float:
    """Return the peak since the reset: memory of the GPU, or resident memory of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / MIB
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def free_memory_mib() -> float:
    """Return the memory that new processes can take on this machine."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable"):
                return int(line.split()[1]) / 1024
    return total_memory_mib()


def total_memory_mib() -> float:
    """Return the memory of this machine, whoever uses it now."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB
