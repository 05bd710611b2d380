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


def evt(version, rows, size="1280x720", more=""):
    """A ``.raw`` file of Prophesee's in EVT 2.0, 2.1 or 3.0, without vectors.

    Format: https://docs.prophesee.ai/stable/data/encoding_formats/index.html
    """
    header = f"% evt {version}\n% geometry {size}\n{more}% end\n".encode()
    return header + {"2.0": evt2_words, "2.1": evt21_words, "3.0": evt3_words}[version](rows)


def evt2_words(rows):
    content, high = b"", None
    for x, y, t, p in rows:
        if t >> 6 != high:
            high = t >> 6
            content += struct.pack("<I", 8 << 28 | high % (1 << 28))
        content += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
    return content


def evt21_words(rows):
    content, high = b"", None
    for x, y, t, p in rows:
        if t >> 6 != high:
            high = t >> 6
            content += struct.pack("<Q", (8 << 28 | high % (1 << 28)) << 32)
        upper = p << 28 | (t & 63) << 22 | (x & ~31) << 11 | y
        content += struct.pack("<Q", upper << 32 | 1 << x % 32)
    return content


def evt3_words(rows):
    words, high, low, row = [], rows[0][2] // 4096 - 1, None, None
    for x, y, t, p in rows:
        for now in range(high + 1, t // 4096 + 1):  # sensors send each, whether something happens
            words.append(8 << 12 | now % 4096)
            high, low = now, None
        if t % 4096 != low:
            words.append(6 << 12 | t % 4096)
            low = t % 4096
        if y != row:
            words.append(y)
            row = y
        words.append(2 << 12 | p << 11 | x)
    return struct.pack(f"<{len(words)}H", *words)


def dat(rows, version=2, kind=12, width=1280, height=720):
    """A ``.dat`` file of Prophesee's."""
    header = f"% Data file\n% Version {version}\n% Height {height}\n% Width {width}\n".encode()
    content = header + bytes([kind, 8])
    for x, y, t, p in rows:
        place = p << 28 | y << 14 | x if version == 2 else p << 17 | y << 9 | x
        content += struct.pack("<II", t % (1 << 32), place)
    return content


def es(rows, width=1280, height=720):
    """A DVS recording in Event Stream 2, whose rows count from below."""
    content, last = b"Event Stream" + bytes([2, 0, 0, 1]) + struct.pack("<HH", width, height), 0
    for x, y, t, p in rows:
        passed, last = t - last, t
        content += b"\xff" * (passed // 127)
        content += struct.pack("<BHH", passed % 127 << 1 | p, x, height - 1 - y)
    return content


def csv(rows, names="x,y,p,t"):
    """A text with a line that names its columns."""
    places = {"x": 0, "y": 1, "t": 2, "p": 3}
    lines = [",".join(str(row[places[name]]) for name in names.split(",")) for row in rows]
    return "\n".join([names, *lines, ""]).encode()


def ecf(rows, packing):
    """A chunk in Prophesee's ECF: 0 by rows and masks, 1 with packed columns, 2 all packed."""
    content = struct.pack("<IQ", len(rows) << 2 | packing, rows[0][2])
    content += _ecf_times([t for _, _, t, _ in rows])
    if packing == 2:
        values = [y << 12 | x << 1 | p for x, y, _, p in rows]
        for a, b, c, d in _fours(values):
            total = (a << 8 | b & 255, b >> 8 << 16 | c & 0xFFFF, c >> 16 << 24 | d)
            content += struct.pack("<3I", *total)
        return content
    for y, run in _runs([y for _, y, _, _ in rows], 0xFFFF):
        content += struct.pack("<H", y << 5 | min(run, 31))
        content += struct.pack("<H", run) if run >= 31 else b""
    if packing == 1:
        for a, b, c, d in _fours([x << 1 | p for x, _, _, p in rows]):
            content += struct.pack("<3H", a << 4 | b & 15, b >> 4 << 8 | c & 255, c >> 8 << 12 | d)
        return content
    place, columns = 0, [x for x, _, _, _ in rows]
    while place < len(rows):
        first, mask = columns[place], 0
        place += 1
        for k in range(5):
            if place < len(rows) and columns[place] == first + k + 1:
                mask |= 16 >> k
                place += 1
        content += struct.pack("<H", first << 5 | mask)
    for p, run in _runs([p for _, _, _, p in rows], 0xFFFF):
        content += bytes([p << 7 | min(run, 127)])
        content += struct.pack("<H", run) if run >= 127 else b""
    return content


def _ecf_times(times):
    content, now = b"", times[0]
    for t, run in _runs(times, 0xFFFF):
        step = t - now
        if step >= 15:
            while step:
                content += bytes([0xF0 | step & 15])
                step >>= 4
        content += bytes([step << 4 | min(run, 15)])
        content += struct.pack("<H", run) if run >= 15 else b""
        now = t
    return content


def _runs(values, longest):
    runs = []
    for value in values:
        if runs and runs[-1][0] == value and runs[-1][1] < longest:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return runs


def _fours(values):
    padded = [*values, *[0] * (-len(values) % 4)]
    return [padded[i : i + 4] for i in range(0, len(padded), 4)]
