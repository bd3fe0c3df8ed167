"""Mutations of bytes and of nested values, and texts and numbers that go wrong in many places."""

from __future__ import annotations

import json
import struct

import yaml

NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
TEXTS = (
    "", " ", "nan", "inf", "-1", "0.5", "1e999", "9" * 400, "9" * 5000, "x" * 70_000, "\x00", "\x1b]52;c;eA==\x07",
    "../../escaped.png", "/etc/passwd", "C:\\x", "é\u202eé", "\ud800", "=1+1", "a|b\nc", '"', "[" * 2000,
    "None", "true", "2024-13-45", "1,5", "~/x", "file:///etc/passwd",
)  # fmt: skip


def pick(rng, choices):
    """One of some choices, as they are (NumPy would convert them)."""
    choices = list(choices)
    return choices[int(rng.integers(len(choices)))]


# --- bytes


def truncate(rng, data):
    return data[: int(rng.integers(len(data) + 1))]


def flip(rng, data):
    changed = bytearray(data)
    for place in rng.integers(0, len(data), int(rng.integers(1, 9))) if data else ():
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwrite(rng, data):
    start = int(rng.integers(len(data) + 1))
    count = min(len(data) - start, int(2 ** rng.uniform(0, 12)))
    filler = pick(rng, (bytes(count), b"\xff" * count, rng.bytes(count)))
    return data[:start] + filler + data[start + count :]


def number(rng, data):
    """An interesting number somewhere, more often near the beginning or the end, where headers are."""
    code = pick(rng, ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    length = struct.calcsize(code)
    reach = max(1, min(len(data) - length, pick(rng, (64, 512, len(data)))))
    place = int(rng.integers(reach))
    place = max(0, len(data) - length - place) if rng.random() < 0.3 else place
    value = pick(rng, NUMBERS) % (1 << 8 * length)
    return data[:place] + struct.pack(code, value) + data[place + length :]


def splice(rng, data):
    """A part removed, repeated or moved."""
    first, second, third = sorted(int(n) for n in rng.integers(0, len(data) + 1, 3))
    a, b, c, d = data[:first], data[first:second], data[second:third], data[third:]
    return pick(rng, (a + c + d, a + b + b + c + d, a + c + b + d))


def replace(rng, data):
    return pick(rng, (b"", bytes(len(data)), b"<!DOCTYPE html>quota exceeded", rng.bytes(500), data + rng.bytes(50)))


BYTES = (truncate, flip, flip, overwrite, number, number, splice, replace)


def mutated(rng, data):
    """Some bytes, changed once, or rarely several times."""
    for _ in range(pick(rng, (1, 1, 1, 2, 4))):
        data = pick(rng, BYTES)(rng, data)
    return data


# --- nested values, as JSON and YAML hold them


def value(rng, old=None):
    """A value that is none of those expected."""
    choices = [
        None, True, 0, -1, 2**31, 2**63, 10**400, 0.5, 1e308, float("nan"), float("-inf"), [], {}, [None], {"a": [1]},
        list(range(2000)), [old, old], {"x": old}, str(old), *TEXTS[:12], pick(rng, TEXTS),
    ]  # fmt: skip
    if isinstance(old, int | float):
        choices += [-old, old + 1, old * 1000] * 4
    return pick(rng, choices)


def nested(rng, content):
    """A nested value with one place changed, removed, added or renamed."""
    places = [(None, None)]

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    content = json.loads(json.dumps(content, default=str))
    if isinstance(content, dict | list):
        walk(content)
    node, key = pick(rng, places)
    if node is None:
        return value(rng, "x") if rng.random() < 0.2 or not isinstance(content, dict) else content | {"x": value(rng)}
    how = rng.random()
    if how < 0.6:
        node[key] = value(rng, node[key])
    elif how < 0.75:
        del node[key]
    elif isinstance(node, dict):
        node[pick(rng, [k for k in TEXTS if k.isprintable()] + list(node))] = node.pop(key)
    else:
        node.append(node[key])
    return content


def as_json(rng, data):
    """JSON with a value changed, or its text."""
    if rng.random() < 0.25:
        return mutated(rng, data)
    text = json.dumps(nested(rng, json.loads(data)))
    raw = ("1" * 5000, "[" * 100_000, '{"a":' * 50_000, "NaN", "1e999", '"\\ud800"', "-", '"' + "x" * 10**6 + '"')
    if rng.random() < 0.2 and ": " in text:
        start = text.index(": ", int(rng.integers(text.rindex(": ") + 1))) + 2
        text = text[:start] + pick(rng, raw) + text[text.find(",", start) % (len(text) + 1) :]
    return text.encode("utf-8", "surrogatepass")


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))
YAML_TEXTS = (
    BOMB, "x: !!python/object/apply:os.system ['touch escaped']\n", f"x: {'[' * 50_000}\n", f"x:\n{'- ' * 30_000}\n",
    f"x: {'1' * 5000}\n", "x: 2024-13-45\n", "? [a, b]\n: c\n", "x: *unknown\n", "\tx: 1\n", "x: &x [*x]\n",
    "x: 1:2:3\n", "<<: [1]\n", "x: !!binary 'é'\n", "x: !!timestamp 2024-99-99\n", "--- 1\n--- 2\n", "x: \x00\n",
    "x: .inf\n",
    "id: no\n",
)  # fmt: skip


def as_yaml(rng, data):
    """YAML with a value changed, a line added, or its bytes."""
    how = rng.random()
    if how < 0.2:
        return mutated(rng, data)
    if how < 0.45:
        lines = data.decode().splitlines(keepends=True)
        place = int(rng.integers(len(lines) + 1))
        return "".join([*lines[:place], pick(rng, YAML_TEXTS), *lines[place:]]).encode()
    changed = nested(rng, yaml.safe_load(data))
    return yaml.dump(changed, Dumper=yaml.Dumper, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")
