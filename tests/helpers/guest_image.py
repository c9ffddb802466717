"""Debian's own kernel and a start-up disk for it, made once and kept in `.deps/guest` of the tree.

The kernel's package is downloaded and unpacked, never installed. The start-up disk holds busybox, the few modules a
guest needs, and a script that puts this machine's own file tree (read-only, by 9p) under a writable layer in memory.
"""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".deps/guest"
NEEDED = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "depmod": "kmod", "udevadm": "udev"}
DOWNLOAD_S = 240

MODULES = (
    "virtio_pci", "virtio_blk", "virtio_rng", "virtio_net", "9pnet_virtio", "9p", "overlay", "ext4", "sha256_generic",
    "evdev", "uinput", "hid_generic", "usbhid", "xhci_pci", "i6300esb",
)  # fmt: skip

# `share` is the directory a guest and its test both see, at /run/guest.
INIT = """#!/bin/sh
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module" 2>/dev/null; done </load
mkdir -p /below /above /new
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose root /below || exec sh
mount -t tmpfs above /above; mkdir -p /above/upper /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/upper,workdir=/above/work overlay /new
mount -t tmpfs -o mode=755 run /new/run; mkdir -p /new/run/guest
mount -t 9p -o rw,trans=virtio,version=9p2000.L,msize=262144 share /new/run/guest
# This machine's /tmp is no business of the guest's; the tree is, wherever it lies.
tree=$(cat /new/run/guest/tree); mkdir -p /tree; mount --bind "/new$tree" /tree
mount -t tmpfs tmp /new/tmp; chmod 1777 /new/tmp; mount -t tmpfs tmp /new/var/tmp; chmod 1777 /new/var/tmp
case "$tree" in /tmp/*|/var/tmp/*) mkdir -p "/new$tree"; mount --move /tree "/new$tree" ;; *) umount /tree ;; esac
for place in dev proc sys; do mount --move "/$place" "/new/$place"; done
busybox chroot /new /bin/sh /run/guest/prepare >/new/run/guest/prepare.log 2>&1
exec switch_root /new $(cat /new/run/guest/init)
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What qemu boots."""

    kernel: Path
    initrd: Path


def missing() -> list[str]:
    """Debian packages a guest needs and this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for command, package in NEEDED.items() if shutil.which(command, path=path) is None})


def image() -> Image:
    """Kernel and start-up disk, from the cache or made now (70 MB are downloaded the first time)."""
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = _kernel_tree()
    kernel = next((tree / "boot").glob("vmlinuz-*"))
    key = hashlib.sha256(repr((MODULES, INIT, kernel.name)).encode()).hexdigest()[:16]
    initrd = CACHE / f"initrd-{key}"
    if not initrd.is_file():
        part = initrd.with_suffix(f".{os.getpid()}")
        part.write_bytes(_archive(_contents(tree, kernel.name.removeprefix("vmlinuz-"))))
        part.replace(initrd)
    return Image(kernel, initrd)


def _kernel_tree() -> Path:
    """The unpacked package; an interrupted download or unpacking leaves nothing behind that counts."""
    tree = CACHE / "kernel"
    if tree.is_dir():
        return tree
    depends = _output("apt-cache", "depends", "linux-image-amd64")
    package = next(line.split()[1] for line in depends.splitlines() if "Depends: linux-image" in line)
    part = CACHE / f"kernel.{os.getpid()}"
    part.mkdir()
    _output("apt-get", "--quiet", "download", package, cwd=part)
    archive = next(part.glob("*.deb"))
    _output("dpkg-deb", "-x", str(archive), str(part))
    archive.unlink()
    _output("depmod", "-b", str(part), next((part / "lib/modules").iterdir()).name)
    part.rename(tree)
    return tree


def _contents(tree: Path, version: str) -> dict[str, bytes | str | None]:
    """Files (bytes), links (text) and directories (None) of the start-up disk."""
    found: dict[str, bytes | str | None] = dict.fromkeys(("bin", "dev", "proc", "sys", "modules"))
    found["bin/busybox"] = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    for command in ("sh", "mount", "umount", "chmod", "insmod", "mkdir", "switch_root", "cat"):
        found[f"bin/{command}"] = "busybox"
    modules = _modules(tree / "lib/modules" / version)
    for module in modules:
        data = module.read_bytes()
        found[f"modules/{module.name.removesuffix('.xz')}"] = lzma.decompress(data) if module.suffix == ".xz" else data
    found["load"] = "".join(f"{module.name.removesuffix('.xz')}\n" for module in modules).encode()
    found["init"] = INIT.encode()
    return found


def _modules(directory: Path) -> list[Path]:
    """The modules a guest loads, each after those it rests on."""
    needs = {}
    for line in (directory / "modules.dep").read_text("utf-8").splitlines():
        module, _, others = line.partition(":")
        needs[module] = others.split()
    paths = {Path(module).name.partition(".")[0].replace("-", "_"): module for module in needs}
    ordered: dict[str, None] = {}

    def take(module: str) -> None:
        for other in reversed(needs[module]):
            take(other)
        ordered.setdefault(module)

    for name in MODULES:
        if name in paths:  # others are built in
            take(paths[name])
    return [directory / module for module in ordered]


def _archive(contents: dict[str, bytes | str | None]) -> bytes:
    """A cpio archive as the kernel unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    out = bytearray()

    def add(name: str, mode: int, data: bytes) -> None:
        fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out.extend(b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data + b"\0" * (-len(data) % 4))

    for name, what in contents.items():
        if what is None:
            add(name, 0o040755, b"")
        elif isinstance(what, str):
            add(name, 0o120777, what.encode())
        else:
            add(name, 0o100755, what)
    add("TRAILER!!!", 0, b"")
    return bytes(out)


def _output(*command: str, cwd: Path | None = None) -> str:
    environment = os.environ | {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    return subprocess.run(
        command, cwd=cwd, env=environment, check=True, capture_output=True, text=True, timeout=DOWNLOAD_S
    ).stdout
