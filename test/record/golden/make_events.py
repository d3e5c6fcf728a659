"""
Event files by TensorBoard's own writer and protocol buffers: what src/record/event-bytes.ts has to write, byte for byte.

    python make_events.py            makes events.bin (made with tensorboard 2.21.0, protobuf's upb)
    python make_events.py <folder>   says what TensorBoard reads in the event files of a run's folder
"""

import math
import pathlib
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

SCALARS = [
    {"ann/loss": 0.1, "ann/accuracy/solo": 0.5, "seconds": 12.75},
    {"ann/loss": -1e-7, "ann/accuracy/solo": 1.0, "né/x": 3.4e38, "big": 1e39, "ann/kl": math.nan, "max": -math.inf},
]


def event(step, **what):
    return event_pb2.Event(wall_time=1764000000.125 + step, step=step, **what)


def float32(value):
    return math.copysign(math.inf, value) if abs(value) > 3.4028235677973366e38 else value


def make(file):
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    events = [event(0, file_version="brain.Event:2"), event(0, session_log=start)]
    for step, scalars in zip([0, 300], SCALARS):
        values = [summary_pb2.Summary.Value(tag=tag, simple_value=float32(v)) for tag, v in scalars.items()]
        events.append(event(step, summary=summary_pb2.Summary(value=values)))
    with open(file, "wb") as out:
        writer = RecordWriter(out)
        for one in events:
            writer.write(one.SerializeToString())


def show(folder):
    accumulator = event_accumulator.EventAccumulator(folder)
    accumulator.Reload()
    for tag in sorted(accumulator.Tags()["scalars"]):
        print(tag, [(one.step, one.wall_time, one.value) for one in accumulator.Scalars(tag)])


if len(sys.argv) > 1:
    show(sys.argv[1])
else:
    make(pathlib.Path(__file__).parent / "events.bin")
