"""Event recordings in the formats of cameras, put together by hand from rows ``x, y, t, p``."""

import struct


def five_byte(rows):
    """N-MNIST's format."""
    return b"".join(
        bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])
        for x, y, t, p in (map(int, row) for row in rows)
    )


def aedat3(rows):
    """AEDAT 3.1, in one packet."""
    words = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for x, y, t, p in rows)
    number = len(rows)
    packet = struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, number, number, number)
    return b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + packet + words


def sized(buffer):
    return struct.pack("<I", len(buffer)) + buffer


def aedat4(packets):
    """An AEDAT 4.0 file without compression, its flatbuffers put together by hand.

    ``packets`` are lists of ``x, y, t, p``.

    Format: https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
    """
    text = (
        b'<dv version="2.0"><node name="outInfo" path="/outInfo/">'
        b'<node name="0" path="/outInfo/0/">'
        b'<attr key="compression" type="string">NONE</attr>'
        b'<attr key="typeIdentifier" type="string">EVTS</attr>'
        b'<node name="info" path="/outInfo/0/info/"><attr key="sizeX" type="int">8</attr>'
        b'<attr key="sizeY" type="int">6</attr></node></node></node></dv>'
    )
    header = struct.pack("<I4s5H6x", 24, b"IOHE", 10, 20, 4, 8, 16)
    header += struct.pack("<iiqII", 16, 0, -1, 4, len(text)) + text + b"\0"
    content = b"#!AER-DAT4.0\r\n" + sized(header)
    for rows in packets:
        packet = struct.pack("<I4s3H2x", 16, b"EVTS", 6, 8, 4)
        packet += struct.pack("<iI4xI", 8, 8, len(rows))
        for x, y, t, p in rows:
            packet += struct.pack("<qhh?3x", t, x, y, bool(p))
        packet = sized(packet)
        content += struct.pack("<ii", 0, len(packet)) + packet
    return content
