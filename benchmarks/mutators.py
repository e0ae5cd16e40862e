"""Seeded damage: of bytes, of text tables, of trees of values, and pickles that would run something if they could."""

from __future__ import annotations

import copy
import datetime
import io
import math
import pickletools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

_HUGE = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 62, (1 << 64) - 1)
_EDGE = 1500  # bytes at either end, where most containers have their headers

_PLAIN = (
    *(None, True, False, 0, 1, -1, 2, 3, 7, 255, 1 << 31, 1 << 53, 1 << 63, -(1 << 63), 10**30, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, 1e-320, 1e30, 1e300, -1e300, math.nan, math.inf, -math.inf),
    *("", " ", ".", "..", "../x", "../../x", "/etc/passwd", "a/b", "a\\b", "x\n", "a\nb", "\0", "a\0b", "\x1b[2J"),
    *("\ud800", "\u202egpj", "ä", "😀", "~", "~/x", "~nobody/x", "-x", "%s", "{x}", "$HOME", "x" * 300, "x" * 5000),
    *("x" * 200_000, "nan", "1e400", "9" * 5000, "0x10", "1_000", "٣", "null", "default", "auto", "cpu\n", "cuda:9"),
    *("os:sep", "os.path:join", ":join", "os:", "..os:sep", ".:.", "os/path:join", "os\0:sep", "x" * 300 + ":x"),
    *("json:decoder.JSONDecoder", "swagv.methods.swagv:SwagV", "swagv.methods.sobel:Sobel", "swagv_ig", "grad_cam"),
    *("insertion_deletion", "localisation", "table1", "clips", "folder", "rendered", "label", "every"),
    *([], {}, [None], [1, 2], [0, 0, 0], [1e300] * 3, ["a", "b"], [[]], {"a": 1}, {"": {}}, {"type": "sobel"}),
    *({1: 2}, {True: None}, {None: 1}, {"a\nb": 1}, {"../x": {}}, {"x" * 300: {}}, ["x"] * 3000, [[1, 2, 3]] * 200),
    *(datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, tzinfo=datetime.UTC), b"\xff\0", {"a", "b"}),
)  # fmt: skip
_FIELDS = (
    *("", " ", "nan", "inf", "-inf", "-1", "1e300", "1e400", "1.5", "9" * 30, "9" * 5000, "0x10", "1_0", "٣", "²"),
    *("\0", "x" * 300, "x" * 200_000, '"', '""', '"a', "a\r", "\n", ",", ",,,", ";", "\t", "../../etc/passwd"),
    *("..", ".", "a/../b", "a//b", "\x1b[2J", "\ufeff", "\u2028", "ä", "😀", "%s", "val", "test", "label", "path"),
)  # fmt: skip


def _of(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _times(rng: np.random.Generator) -> range:
    """Mostly one change, rarely many."""
    return range(min(int(rng.geometric(0.5)), 8))


def damaged(rng: np.random.Generator, data: bytes, inserts: Sequence[bytes] = ()) -> bytes:
    """Bytes with bits flipped, pieces cut off, removed, doubled, zeroed, moved or put in, or numbers made huge."""
    out = bytearray(data)
    for _ in _times(rng):
        if not out:
            break
        edge = min(_EDGE, len(out))
        place = int(_of(rng, (rng.integers(len(out)), rng.integers(edge), len(out) - 1 - rng.integers(edge))))
        size = int(rng.integers(1, 2 + _of(rng, (4, 64, len(out)))))
        match rng.integers(9):
            case 0:
                out[place] ^= 1 << int(rng.integers(8))
            case 1:
                for where in rng.integers(place, min(place + 64, len(out)), 8).tolist():
                    out[where] = int(rng.integers(256))
            case 2:
                width, order = _of(rng, (1, 2, 4, 8)), _of(rng, ("little", "big"))
                out[place : place + width] = (_of(rng, _HUGE) & ((1 << 8 * width) - 1)).to_bytes(width, order)
            case 3:
                del out[place:]
            case 4:
                del out[place : place + size]
            case 5:
                out[place:place] = out[place : place + size]
            case 6:
                size = min(size, len(out) - place)
                out[place : place + size] = bytes(size)
            case 7:
                out[place:place] = _of(rng, inserts) if inserts else rng.bytes(min(size, 64))
            case _:
                piece = out[place : place + size]
                del out[place : place + size]
                where = int(rng.integers(len(out) + 1))
                out[where:where] = piece
    return bytes(out)


def damaged_table(rng: np.random.Generator, text: str, separator: str) -> bytes:
    """A text table with fields replaced, added, taken out or doubled, lines too; or with bytes damaged."""
    if rng.random() < 0.3:
        return damaged(rng, text.encode(), [field[:300].encode() for field in _FIELDS])
    lines = [line.split(separator) for line in text.splitlines()]
    for _ in _times(rng):
        line = _of(rng, lines) if lines else []
        place = int(rng.integers(len(line) + 1))
        match rng.integers(6):
            case 0:
                line[place:place] = [_of(rng, _FIELDS)]
            case 1:
                del line[place : place + 1]
            case 2:
                lines.append(list(line))
            case 3 if lines:
                lines.remove(line)
            case _:
                line[place : place + 1] = [_of(rng, _FIELDS)]
    end = _of(rng, ("\n", "\n", "\n", "\r\n", "\r"))
    return end.join(separator.join(line) for line in lines).encode(_of(rng, ("utf-8", "utf-8", "utf-8-sig", "utf-16")))


def _places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _places(value, (*path, key))


def _inside(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def damaged_tree(rng: np.random.Generator, tree: Any, values: Sequence[Any] = _PLAIN) -> Any:
    """A copy of nested dicts and lists, with values replaced, added, taken out, renamed, nested or exchanged."""
    tree = copy.deepcopy(tree)
    for _ in _times(rng):
        places = list(islice(_places(tree), 5000))  # lists may stand in lists many times
        if not places:
            return _of(rng, values)
        path = _of(rng, places)
        parent, key = _inside(tree, path[:-1]), path[-1]
        alike = [value for value in values if type(value) is type(parent[key])]
        value = copy.deepcopy(_of(rng, alike if alike and rng.random() < 0.5 else values))
        match rng.integers(8):
            case 0:
                del parent[key]
            case 1 if isinstance(parent, dict):
                new = value if isinstance(value, str) else _of(rng, places)[-1]
                parent[new] = parent.pop(key)
            case 2 if isinstance(parent, dict):
                parent[value if isinstance(value, str) else str(_of(rng, places)[-1])] = copy.deepcopy(_of(rng, values))
            case 2:
                parent.insert(key, value)
            case 3:
                parent[key] = copy.deepcopy(_inside(tree, _of(rng, places)))
            case 4:
                for _ in range(int(_of(rng, (1, 30, 200)))):
                    value = [value] if rng.random() < 0.5 else {"a": value}
                parent[key] = value
            case 5 if isinstance(parent[key], int | float) and not isinstance(parent[key], bool):
                parent[key] = _of(rng, (-parent[key], parent[key] * 1000, parent[key] + 0.5, str(parent[key]), 0))
            case _:
                parent[key] = value
    return tree


def payloads(marker: str) -> list[bytes]:
    """Pieces of pickle that write the file `marker` in an unpickler that lets them; each leaves one value behind."""
    shell, code = f"touch {marker}".encode(), f"open({marker!r}, 'w')".encode()

    def text(value: bytes) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value

    def named(module: bytes, name: bytes) -> bytes:
        return b"\x8c" + bytes([len(module)]) + module + b"\x8c" + bytes([len(name)]) + name + b"\x93"

    calls = [
        (b"os", b"system", shell), (b"posix", b"system", shell), (b"subprocess", b"getoutput", shell),
        (b"builtins", b"eval", code), (b"builtins", b"exec", code), (b"__builtin__", b"eval", code),
        (b"numpy.core.multiarray", b"eval", code), (b"torch", b"load", marker.encode()),
        (b"numpy", b"load", marker.encode()), (b"swagv.registry", b"load_object", b"antigravity:x"),
    ]  # fmt: skip
    out = []
    for module, name, argument in calls:
        out += [
            b"c" + module + b"\n" + name + b"\n" + text(argument) + b"\x85R",
            named(module, name) + text(argument) + b"\x85R",
            b"(S'" + argument.replace(b"'", b"\\'") + b"'\ni" + module + b"\n" + name + b"\n",
            b"(c" + module + b"\n" + name + b"\n" + text(argument) + b"o",
            b"c" + module + b"\n" + name + b"\n" + text(argument) + b"\x85\x81",
        ]
    for module, name in ((b"numpy", b"dtype"), (b"numpy", b"ndarray"), (b"_codecs", b"encode")):
        known = b"c" + module + b"\n" + name + b"\n"
        out += [
            known + b"}" + text(b"__class__") + b"cos\nsystem\nsb",
            known + b"N}" + text(b"_call") + text(shell) + b"s\x86b",
            known + text(b"O8") + b"\x85R",
            known + b"(lR", known + b")R", known + b"]R", known + b"N\x85R", known + text(b"hex") * 2 + b"\x86R",
            named(module, name + b".__init__.__globals__"),
            known + text(b"f4") + b"\x85R(K\x03" + text(b"<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            known + text(b"f4") + b"\x85RNb", known + text(b"f4") + b"\x85R)b", known + text(b"f4") + b"\x85RK\x05b",
        ]  # fmt: skip
    return [*out, b"P1\n", b"\x82\x01", b"K\x01Q", b"\x97", b"\x98", b"(d", b"]", b"h\x63", b"j\xff\xff\xff\x7f"]


def damaged_pickle(rng: np.random.Generator, data: bytes, hostile: Sequence[bytes]) -> bytes:
    """A pickle with its bytes damaged, or with pieces of `payloads` between its operations."""
    if rng.random() < 0.5:
        return damaged(rng, data)
    places = [place for _, _, place in pickletools.genops(data)][1:]
    for _ in _times(rng):
        place, piece = _of(rng, places), _of(rng, hostile)
        data = data[:place] + piece + _of(rng, (b"0", b"", b"2", b"0" * 3)) + data[place:]
    return data if rng.random() < 0.8 else damaged(rng, data)


def damaged_zip(rng: np.random.Generator, data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A zip archive, each of whose members is whole, the pickle in it changed and members renamed or left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".pkl"):
                content = change(content)
            elif rng.random() < 0.02:
                continue
            elif rng.random() < 0.02:
                name, content = _of(rng, (name + "x", "../" + name, name.upper())), content[: rng.integers(64)]
            new.writestr(name, content)
    return out.getvalue()
