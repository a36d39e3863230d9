# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Owns the choice of the function that `ebtop kprobe` hooks: looks it up by name, and explains why
a function cannot be hooked. The session attaches the hook.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from ebtop.errors import EbtopError, PermissionDenied, Unsupported, UsageError
from ebtop.model.prototype import MOST_ARGS, RAW_RESULT, REGISTER, Hook, Prototype
from ebtop.model.snapshot import ProbeStatus
from ebtop.options.options import Options
from ebtop.sources import kallsyms
from ebtop.sources.bpf import prototype
from ebtop.sources.kallsyms import Symbols
from ebtop.text import data_text, displayable, raw_bytes

_BLACKLIST = "/sys/kernel/debug/kprobes/blacklist"
_TRACEABLE = (
    "/sys/kernel/tracing/available_filter_functions",
    "/sys/kernel/debug/tracing/available_filter_functions",
)


class Target(NamedTuple):
    """The function to hook, and the kernel's symbols as they were before hooking."""

    hook: Hook
    symbols: Symbols


def choose(options: Options) -> Target:
    """To be called with all privileges. Raises UsageError when no function can be meant."""
    function = options.function
    symbols = kallsyms.read()
    module = _check(function, symbols)
    known = prototype(function, module)
    return Target(_hook(options, known), symbols)


def _hook(options: Options, known: Optional[Prototype]) -> Hook:
    """By registers where BTF does not have it; then only as many arguments as were asked for."""
    count = options.args
    if known is None:
        known = Prototype((REGISTER,) * MOST_ARGS, RAW_RESULT)
        count = count or 0
    return Hook(
        function=options.function, params=known.params[:count], result=known.result,
        slots=known.slots, returns=options.returns, stack=options.stack,
    )  # fmt: skip


def _check(function: str, symbols: Symbols) -> Optional[str]:
    """The module that the function is in, None for the kernel itself."""
    found = symbols.named(function)
    code = [symbol for symbol in found if symbol.is_code]
    if not code:
        raise UsageError(_missing(function, symbols, bool(found)))
    if len(code) > 1:
        raise UsageError(
            f"there are {len(code)} functions named {displayable(function)} in this kernel"
            " (static ones of several files): which is meant cannot be said"
        )
    if raw_bytes(function) in blacklist():
        raise UsageError(
            f"{displayable(function)} is on the kernel's blacklist ({_BLACKLIST}):"
            " hooking it could crash the machine"
        )
    module = code[0].module
    return None if module is None else data_text(module)


def _missing(function: str, symbols: Symbols, is_data: bool) -> str:
    shown = displayable(function)
    if is_data:
        return f"{shown} is data of this kernel, not a function"
    copies = symbols.made_of(function)
    if copies:
        return f"this kernel has no {shown} any more: the compiler made {_listed(copies)} of it"
    if prototype(function, None) is not None:
        return f"{shown} is inlined in this kernel: it has a type, but no code of its own"
    near = symbols.nearest(function)
    like = f"; there are {_listed(near)}" if near else ""
    return f"this kernel has no function {shown} (or the compiler inlined all of it){like}"


def _listed(names: list[str]) -> str:
    return ", ".join(displayable(name) for name in names[:5])


def blacklist(path: str = _BLACKLIST) -> frozenset[bytes]:
    """Functions on the kprobe blacklist; empty if it cannot be read."""
    return frozenset(words[1] for words in _lines(path) if len(words) > 1)


def _lines(path: str) -> list[list[bytes]]:
    try:
        with open(path, "rb") as file:
            return [line.split() for line in file]
    except OSError:
        return []


def refusal(target: Target, status: ProbeStatus) -> EbtopError:
    """Why the kernel did not let the function be hooked."""
    shown = displayable(target.hook.function)
    if not target.symbols.named("register_kprobe"):
        return Unsupported(
            "kprobe: this kernel can hook no function: it has no kprobes, and refuses fentry"
        )
    for path in _TRACEABLE:
        names = {words[0] for words in _lines(path) if words}
        if names and raw_bytes(target.hook.function) not in names:
            return UsageError(f"{shown} cannot be hooked: the kernel was built so (notrace)")
        if names:
            break
    kind = PermissionDenied if status.state == "denied" else Unsupported
    return kind(f"kprobe: {shown} cannot be hooked: {status.reason}")
