"""Frames, caps and types between the service and a plugin's process."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.sandbox import protocol, zygote_protocol
from sark_opa.sandbox.calls import Call, Result
from sark_opa.sandbox.protocol import Answer, Ask, FrameBuffer, Load, Loaded, ProtocolError, Ready, Refused, Unload


def _feed(buffer: FrameBuffer, data: bytes) -> int:
    space = buffer.space()
    count = min(len(space), len(data))
    space[:count] = data[:count]
    buffer.received(count)
    return count


@given(st.lists(st.binary(max_size=40), max_size=30), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(bodies, data):
    """Any cutting of the stream gives the same frames in the same order."""
    stream = b"".join(len(body).to_bytes(4) + body for body in bodies)
    buffer = FrameBuffer(40)
    seen = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        stream = stream[_feed(buffer, stream[:cut]) :]
        while (body := buffer.take()) is not None:
            seen.append(bytes(body))
    assert seen == bodies


@given(st.binary(max_size=200))
def test_no_bytes_break_the_buffer(noise):
    """Whatever arrives gives frames within the cap or a `ProtocolError`, never more than was sent."""
    buffer = FrameBuffer(16)
    taken = 0
    try:
        while noise:
            noise = noise[_feed(buffer, noise) :]
            while (body := buffer.take()) is not None:
                taken += len(body)
                assert len(body) <= 16
    except ProtocolError:
        return
    assert taken <= 200


def test_a_frame_at_the_cap_passes_and_one_above_does_not():
    """The cap counts the body, to the byte."""
    buffer = FrameBuffer(8)
    _feed(buffer, (8).to_bytes(4) + bytes(8))
    assert len(buffer.take() or b"") == 8
    _feed(buffer, (9).to_bytes(4))
    with pytest.raises(ProtocolError, match="9 bytes, 8 are allowed"):
        buffer.take()


@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoders(noise):
    """Noise is a message by chance or a decode error, nothing else."""
    for decode in (protocol.decode_message, protocol.decode_reply, zygote_protocol.decode_to_zygote):
        try:
            decode(noise)
        except (msgspec.DecodeError, RecursionError, ValueError):
            continue


MESSAGES = [
    Load("source", {"a": 1}, 1),
    Ask(msgspec.Raw(b"\x80"), protocol.EMPTY_MAP, 2),
    Unload(3),
    Result(2, 1, None, allowed=True, remaining=4, reset_s=1.5),
    Result(2, 16, "overloaded"),
]
REPLIES = [
    Ready(0, ()),
    Loaded(1, "name", "1.0.0", "", 100),
    Refused(1, "source", "no", None),
    Answer(2, "ok", allowed=True, reason="", metadata={"a": [1]}),
    Call(2, 1, "hit", b"\xff", 1, 60, 1),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message):
    """What is framed decodes to the same message."""
    framed = protocol.frame(message)
    assert int.from_bytes(framed[:4]) == len(framed) - 4
    assert protocol.decode_message(framed[4:]) == message


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: type(reply).__name__)
def test_a_reply_is_no_message_and_survives_the_wire(reply):
    """Replies decode as replies only."""
    body = protocol.frame(reply)[4:]
    assert protocol.decode_reply(body) == reply
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_message(body)


LOOSE = {
    "a text for a truth": ["answer", 1, "ok", "yes", "", {}, ""],
    "a number for a truth": ["answer", 1, "ok", 1, "", {}, ""],
    "bytes for a text": ["answer", 1, "ok", True, b"", {}, ""],
    "a number as key": ["answer", 1, "ok", True, "", {1: 2}, ""],
    "an unknown status": ["answer", 1, "allowed", True, "", {}, ""],
    "a text for an id": ["answer", "1", "ok", True, "", {}, ""],
    "an unknown kind": ["permit", 1, "ok", True, "", {}, ""],
    "too few fields": ["answer", 1],
    "a name with spaces": ["loaded", 1, "a name", "1", "", 0],
    "an endless name": ["loaded", 1, "a" * 65, "1", "", 0],
    "too much output": ["answer", 1, "ok", True, "", {}, "x" * 4_097],
}


@pytest.mark.parametrize("case", LOOSE)
def test_types_are_exact(case):
    """Nothing is coerced: what is not exactly the type is refused."""
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_reply(msgspec.msgpack.encode(LOOSE[case]))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_json_metadata_arrives_unchanged(metadata):
    """Whatever JSON can say within the caps is accepted and equal on the other side."""
    answer = Answer(1, "ok", allowed=True, reason="", metadata=metadata)
    protocol.check_answer(answer)
    assert protocol.decode_reply(protocol.encode(answer)) == answer


def test_a_failure_cannot_permit():
    """An answer that says it failed and permits all the same is a forgery."""
    with pytest.raises(ValueError, match="permits although the plugin failed"):
        protocol.check_answer(Answer(1, "error", allowed=True, reason=""))
