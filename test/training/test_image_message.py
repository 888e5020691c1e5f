"""Image messages as views, against the generic deserialiser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_typestore

from training.bags.image_message import read_image_message
from training.bags.reading import (
    COMPRESSED_IMAGE,
    IMAGE,
    BagDamageError,
    RawMessage,
    decode_message,
)

STORE = get_typestore(Stores.ROS2_JAZZY)
texts = st.text(st.characters(codec='utf-8', exclude_characters='\0'), max_size=9)
words = st.integers(0, 2**32 - 1)


def serialised(msgtype, frame_id, little_endian, **fields):
    time = STORE.types['builtin_interfaces/msg/Time'](sec=3, nanosec=4)
    header = STORE.types['std_msgs/msg/Header'](stamp=time, frame_id=frame_id)
    message = STORE.types[msgtype](header=header, **fields)
    return bytes(STORE.serialize_cdr(message, msgtype, little_endian=little_endian))


def raw(data, msgtype):
    return RawMessage('/cam', msgtype, 7, lambda size: data[:size])


@settings(max_examples=60, deadline=None)
@given(
    frame_id=texts,
    encoding=texts,
    numbers=st.tuples(words, words, words),
    big=st.integers(0, 255),
    pixels=st.binary(max_size=40),
    little=st.booleans(),
)
def test_images_equal_those_of_the_generic_way(frame_id, encoding, numbers, big, pixels, little):
    height, width, step = numbers
    sizes = {'height': height, 'width': width, 'step': step, 'is_bigendian': big}
    array = np.frombuffer(pixels, np.uint8)
    data = serialised(IMAGE, frame_id, little, encoding=encoding, data=array, **sizes)
    found, expected = (f(raw(data, IMAGE)) for f in (read_image_message, decode_message))
    for name in (*sizes, 'encoding'):
        assert getattr(found, name) == getattr(expected, name)
    assert (found.header.frame_id, found.header.stamp.nanosec) == (frame_id, 4)
    np.testing.assert_array_equal(found.data, expected.data)


@settings(max_examples=40, deadline=None)
@given(frame_id=texts, text=texts, content=st.binary(max_size=40), little=st.booleans())
def test_compressed_images_equal_those_of_the_generic_way(frame_id, text, content, little):
    array = np.frombuffer(content, np.uint8)
    data = serialised(COMPRESSED_IMAGE, frame_id, little, format=text, data=array)
    found = read_image_message(raw(data, COMPRESSED_IMAGE))
    assert (found.header.frame_id, found.format, found.data.tobytes()) == (frame_id, text, content)


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 0.999), msgtype=st.sampled_from([IMAGE, COMPRESSED_IMAGE]))
def test_cut_off_messages_are_damage(cut, msgtype):
    fields = {'format': 'jpeg'}
    if msgtype == IMAGE:
        fields = {'height': 2, 'width': 3, 'step': 9, 'is_bigendian': 0, 'encoding': 'rgb8'}
    data = serialised(msgtype, 'camera', True, **fields, data=np.zeros(18, np.uint8))
    with pytest.raises(BagDamageError, match='leave it out'):
        read_image_message(raw(data[: int(cut * len(data))], msgtype))


def test_no_copy_is_made():
    data = serialised(COMPRESSED_IMAGE, 'c', True, format='', data=np.arange(5, dtype=np.uint8))
    found = read_image_message(raw(data, COMPRESSED_IMAGE))
    assert np.shares_memory(found.data, np.frombuffer(data, np.uint8))
