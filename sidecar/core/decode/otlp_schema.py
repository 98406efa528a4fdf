"""OpenTelemetry's messages, read more leniently than protobuf's library would.

The library refuses a whole export for one byte that is no UTF-8, and for one record that is broken or nested too deep.
On the wire a text, or a message within another, is written just as bytes are. So these classes are made from the
official descriptors with every text, and every record, resource and scope, declared as bytes: the outer message opens
whatever they hold, and each is then read by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

_PREFIX = "opentelemetry.proto"
_APART = {
    f".{_PREFIX}.{name}" for name in ("logs.v1.LogRecord", "resource.v1.Resource", "common.v1.InstrumentationScope")
}
"""Messages that are read by themselves."""

_STATUS = FileDescriptorProto(
    name="status.proto",
    package="google.rpc",
    syntax="proto3",
    message_type=[
        DescriptorProto(
            name="Status",
            field=[
                FieldDescriptorProto(
                    name="message",
                    number=2,
                    type=FieldDescriptorProto.TYPE_STRING,
                    label=FieldDescriptorProto.LABEL_OPTIONAL,
                )
            ],
        )
    ],
)
"""What OTLP answers a failure with; its other members say nothing to a client."""


def _loosen(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        for field in message.field:
            if field.type == FieldDescriptorProto.TYPE_STRING or field.type_name in _APART:
                field.type = FieldDescriptorProto.TYPE_BYTES
                field.ClearField("type_name")
        _loosen(message.nested_type)


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, logs_pb2, logs_service_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        _loosen(file.message_type)
        pool.Add(file)
    pool.Add(_STATUS)
    return pool


_POOL = _pool()


def _message(name: str) -> Any:
    return GetMessageClass(_POOL.FindMessageTypeByName(name))


ExportRequest: Any = _message(f"{_PREFIX}.collector.logs.v1.ExportLogsServiceRequest")
LogRecord: Any = _message(f"{_PREFIX}.logs.v1.LogRecord")
Resource: Any = _message(f"{_PREFIX}.resource.v1.Resource")
Scope: Any = _message(f"{_PREFIX}.common.v1.InstrumentationScope")
Status: Any = _message("google.rpc.Status")
