"""Prints the scalars of a TensorBoard event file, by the formats of TFRecord and protocol buffers, checking every sum."""

import struct
import sys


def crc32c(data):
    """Bit by bit, by the definition."""
    sum_ = 0xFFFFFFFF
    for byte in data:
        sum_ ^= byte
        for _ in range(8):
            sum_ = (sum_ >> 1) ^ (0x82F63B78 if sum_ & 1 else 0)
    return sum_ ^ 0xFFFFFFFF


def masked(data):
    sum_ = crc32c(data)
    return ((sum_ >> 15 | sum_ << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert key & 7 == 2
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
            assert len(value) == size
        yield key >> 3, value


with open(sys.argv[1], "rb") as file:
    data = file.read()
at = 0
while at < len(data):
    size, sum_of_size = struct.unpack_from("<QI", data, at)
    assert sum_of_size == masked(data[at : at + 8])
    record = data[at + 12 : at + 12 + size]
    assert struct.unpack_from("<I", data, at + 12 + size)[0] == masked(record)
    at += 16 + size
    event = dict(fields(record))
    if 3 in event:
        print(f"{event[1]:g} version {event[3].decode()}")
    for number, value in fields(event.get(5, b"")):
        assert number == 1
        scalar = dict(fields(value))
        print(f"{event[1]:g} step {event[2]} {scalar[1].decode()} {scalar[2]:g}")
