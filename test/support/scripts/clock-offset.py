#!/usr/bin/env python3
"""Runs a program with a shifted wall clock: clock-offset.py SECONDS PROGRAM [ARG...]   (x86-64)

A container has no clock of its own, and a Go program reads the kernel's clock through the vDSO, not through the C
library, which libfaketime would replace. So when the program starts, its own copy of the vDSO is overwritten once:
clock_gettime then makes the system call and adds SECONDS to CLOCK_REALTIME. Monotonic clocks are left alone. The program
runs in the process that was started, so that systemd can track it.
https://man7.org/linux/man-pages/man7/vdso.7.html  https://man7.org/linux/man-pages/man2/ptrace.2.html
"""
import ctypes
import os
import struct
import sys

PTRACE_POKEDATA, PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE = 5, 7, 17, 0x4206
PTRACE_O_TRACEEXEC, PTRACE_EVENT_EXEC = 0x10, 4
PR_SET_PTRACER, PR_SET_PTRACER_ANY, WALL = 0x59616D61, 2**64 - 1, 0x40000000
AT_SYSINFO_EHDR, SHT_DYNSYM = 33, 11

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace request {request:#x}")


def clock_gettime(seconds: int) -> bytes:
    """Machine code that takes its arguments in edi (clock) and rsi (struct timespec)."""
    add = b"\x48\x81\x06" + struct.pack("<i", seconds)  # add qword [rsi], seconds
    return (
        b"\xb8\xe4\x00\x00\x00\x0f\x05"  # mov eax, 228; syscall
        + b"\x85\xff\x75" + bytes([len(add)])  # test edi, edi; jnz end: only CLOCK_REALTIME
        + add
        + b"\xc3"  # end: ret
    )


def vdso_function(pid: int, name: bytes) -> tuple[int, int]:
    """Address and size of a function in a process's vDSO."""
    with open(f"/proc/{pid}/auxv", "rb") as file:
        auxv = dict(struct.iter_unpack("QQ", file.read()))
    base = auxv[AT_SYSINFO_EHDR]
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(base)
        image = file.read(2 * 4096)
    headers, entry_size, count = struct.unpack_from("<Q10xHH", image, 0x28)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, headers + i * entry_size) for i in range(count)]
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != SHT_DYNSYM:
            continue
        strings = sections[link][4]
        for at in range(offset, offset + size, 24):
            text, _, _, _, value, length = struct.unpack_from("<IBBHQQ", image, at)
            if image[strings + text :].startswith(name + b"\0"):
                return base + value, length
    raise LookupError(f"the vDSO has no {name.decode()}")


def offset_at_exec(pid: int, seconds: int, ready: int) -> None:
    """Follows a process into its next program, shifts that program's clock, and detaches."""
    ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXEC)
    os.write(ready, b"!")
    while (status := os.waitpid(pid, WALL)[1]) >> 16 != PTRACE_EVENT_EXEC:
        if not os.WIFSTOPPED(status):
            raise ChildProcessError(f"the program was not started (status {status:#x})")
        ptrace(PTRACE_CONT, pid, 0, os.WSTOPSIG(status))  # a pending signal, such as the one of the child that has ended
    code = clock_gettime(seconds)
    address, size = vdso_function(pid, b"__vdso_clock_gettime")
    if size < len(code):
        raise ValueError(f"a function of {size} bytes has no room for {len(code)}")
    code += b"\x90" * (-len(code) % 8)
    for (word,), at in zip(struct.iter_unpack("<Q", code), range(address, address + len(code), 8)):
        ptrace(PTRACE_POKEDATA, pid, at, word)
    ptrace(PTRACE_DETACH, pid)


def main() -> None:
    seconds, program = int(sys.argv[1]), sys.argv[2:]
    read, write = os.pipe()
    libc.prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY))
    pid = os.getpid()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:  # a grandchild, so that the program has no child that it does not know about
            os.close(read)
            offset_at_exec(pid, seconds, write)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    if os.read(read, 1) != b"!":
        sys.exit("clock-offset: the program could not be followed")
    os.execvp(program[0], program)


main()
