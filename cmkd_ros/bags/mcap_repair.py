# SPDX-License-Identifier: Apache-2.0
"""Makes a whole MCAP file of one that was cut off: keeps what is good to the byte, writes index and footer anew.

Record layout: https://mcap.dev/spec. A chunk counts as good when it unpacks and its checksum, if it has one, agrees.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Message,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC
from zstandard import ZstdError

_RECORD = struct.Struct("<BQ")
# What the library raises where bytes are not what a record should be.
_BAD = (McapError, ZstdError, ValueError, struct.error, EOFError, RuntimeError, UnicodeDecodeError, IndexError)


class Rebuilt:
    """A whole copy of the good part of `source` at `target`: `messages` kept, `lost_bytes` left out.

    `damaged`: something was left out that is not just the torn end of the file.
    Raises `ValueError` when the file is not MCAP or holds no message, OSError.
    """

    def __init__(self, source: Path, target: Path):
        self.messages = self.lost_bytes = 0
        self.damaged = False
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._chunks: list[ChunkIndex] = []
        self._attachments: list[AttachmentIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._counts: dict[int, int] = {}
        self._start_ns, self._end_ns = 2**63, 0
        size = source.stat().st_size
        with open(source, "rb") as file, open(target, "wb") as out:
            if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
                raise ValueError("it does not begin as an MCAP file")
            out.write(MCAP0_MAGIC)
            for opcode, body in _records(file, size):
                if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    break
                try:
                    self._keep(opcode, body, out)
                except _BAD:
                    self.lost_bytes += _RECORD.size + len(body)
                    self.damaged = True
            else:
                self.lost_bytes += size - file.tell()
            if not self.messages:
                raise ValueError("it holds no whole message")
            self._finish(out)
            out.flush()
            os.fsync(out.fileno())

    def _keep(self, opcode: int, body: bytes, out: BinaryIO) -> None:
        start, stream = out.tell(), ReadDataStream(BytesIO(body))
        if opcode == Opcode.MESSAGE_INDEX:
            return  # written anew behind each chunk
        if opcode == Opcode.CHUNK:
            self._keep_chunk(Chunk.read(stream), body, out)
            return
        if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
            self._describe(opcode, stream)
        elif opcode == Opcode.MESSAGE:
            message = Message.read(stream, len(body))
            if message.channel_id not in self._channels:
                raise ValueError("a message on a channel that nothing describes")
            self._count(message.channel_id, message.log_time)
        elif opcode == Opcode.ATTACHMENT:
            found = Attachment.read(stream)
            length = _RECORD.size + len(body)
            self._attachments.append(
                AttachmentIndex(
                    start, length, found.create_time, found.log_time, len(found.data), found.name, found.media_type
                )
            )
        elif opcode == Opcode.METADATA:
            name = Metadata.read(stream).name
            self._metadata.append(MetadataIndex(offset=start, length=_RECORD.size + len(body), name=name))
        elif opcode != Opcode.HEADER:
            raise ValueError(f"record {opcode} has no place here")
        out.write(_RECORD.pack(opcode, len(body)) + body)

    def _keep_chunk(self, chunk: Chunk, body: bytes, out: BinaryIO) -> None:
        stream, length = get_chunk_data_stream(chunk, validate_crc=True)
        if length != chunk.uncompressed_size:
            raise ValueError("the chunk unpacks to another length than it says")
        content = stream.read(length)
        indexes: dict[int, MessageIndex] = {}
        described: list[tuple[int, bytes]] = []
        position = 0
        while position < length:
            opcode, size = _RECORD.unpack_from(content, position)
            inner = content[position + _RECORD.size : position + _RECORD.size + size]
            if len(inner) != size:
                raise ValueError("a record reaches past its chunk")
            if opcode == Opcode.MESSAGE:
                channel, _, log_ns = struct.unpack_from("<HIQ", inner)
                indexes.setdefault(channel, MessageIndex(channel, [])).records.append((log_ns, position))
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                described.append((opcode, inner))
            position += _RECORD.size + size
        for opcode, inner in described:
            self._describe(opcode, ReadDataStream(BytesIO(inner)))
        if not indexes.keys() <= self._channels.keys():
            raise ValueError("a message on a channel that nothing describes")
        start = out.tell()
        out.write(_RECORD.pack(Opcode.CHUNK, len(body)) + body)
        builder, offsets = RecordBuilder(), {}
        after = out.tell()
        for channel, index in indexes.items():
            offsets[channel] = after + builder.count
            index.write(builder)
            for log_ns, _ in index.records:
                self._count(channel, log_ns)
        out.write(builder.end())
        self._chunks.append(
            ChunkIndex(
                chunk_length=after - start,
                chunk_start_offset=start,
                compression=chunk.compression,
                compressed_size=len(chunk.data),
                message_end_time=chunk.message_end_time,
                message_index_length=out.tell() - after,
                message_index_offsets=offsets,
                message_start_time=chunk.message_start_time,
                uncompressed_size=chunk.uncompressed_size,
            )
        )

    def _describe(self, opcode: int, stream: ReadDataStream) -> None:
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self._schemas[schema.id] = schema
        else:
            channel = Channel.read(stream)
            self._channels[channel.id] = channel

    def _count(self, channel: int, log_ns: int) -> None:
        self.messages += 1
        self._counts[channel] = self._counts.get(channel, 0) + 1
        self._start_ns, self._end_ns = min(self._start_ns, log_ns), max(self._end_ns, log_ns)

    def _finish(self, out: BinaryIO) -> None:
        end = RecordBuilder()
        DataEnd(0).write(end)
        out.write(end.end())
        statistics = Statistics(
            attachment_count=len(self._attachments),
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=len(self._chunks),
            message_count=self.messages,
            message_end_time=self._end_ns,
            message_start_time=self._start_ns,
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )
        groups: list[tuple[int, list[Any]]] = [
            (Opcode.SCHEMA, [*self._schemas.values()]),
            (Opcode.CHANNEL, [*self._channels.values()]),
            (Opcode.STATISTICS, [statistics]),
            (Opcode.CHUNK_INDEX, [*self._chunks]),
            (Opcode.ATTACHMENT_INDEX, [*self._attachments]),
            (Opcode.METADATA_INDEX, [*self._metadata]),
        ]
        start, summary, offsets = out.tell(), RecordBuilder(), RecordBuilder()
        for opcode, records in groups:
            if records:
                before = summary.count
                for record in records:
                    record.write(summary)
                SummaryOffset(
                    group_opcode=opcode, group_start=start + before, group_length=summary.count - before
                ).write(offsets)
        offset_start = start + summary.count
        out.write(summary.end() + offsets.end())
        footer = RecordBuilder()
        Footer(summary_start=start, summary_offset_start=offset_start, summary_crc=0).write(footer)
        out.write(footer.end() + MCAP0_MAGIC)


def _records(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Records up to the first that is cut off; the file is left standing at that one."""
    while True:
        start = file.tell()
        head = file.read(_RECORD.size)
        if len(head) == _RECORD.size:
            opcode, length = _RECORD.unpack(head)
            if opcode and length <= size - file.tell():
                yield opcode, file.read(length)
                continue
        file.seek(start)
        return
