/**
TensorBoard's event files, byte by byte: TFRecord framing (tensorflow/core/lib/io/record_writer.h) around protocol buffers
(tensorflow/core/util/event.proto, framework/summary.proto), of which only what scalars need is written.
*/

export interface EventHeader {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** A whole number, at least 0. */
  readonly step: number;
}

/** Opens every event file. */
export function versionEvent(header: EventHeader): Buffer {
  return eventRecord(header, bytesField(3, Buffer.from('brain.Event:2')));
}

/** Readers that have seen an earlier one drop what they hold of this step and later: the run goes on from here. */
export function startEvent(header: EventHeader): Buffer {
  return eventRecord(header, bytesField(7, varintField(1, 1n))); // a SessionLog of status START
}

/** One record of all figures, so that a killed run leaves a step whole or not at all. Values are rounded to float32, the format's own. */
export function scalarsEvent(header: EventHeader, scalars: Readonly<Record<string, number>>): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), floatField(2, value)])),
  );
  return eventRecord(header, bytesField(5, Buffer.concat(values)));
}

function eventRecord({wallTime, step}: EventHeader, what: Buffer): Buffer {
  // Protocol buffers leave out what is zero.
  const number = step === 0 ? [] : [varintField(2, BigInt(step))];
  return record(Buffer.concat([doubleField(1, wallTime), ...number, what]));
}

/** Length, its checksum, the data, its checksum. */
export function record(data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length), 0);
  head.writeUInt32LE(maskedCrc(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedCrc(data), 0);
  return Buffer.concat([head, data, tail]);
}

/** Rotated and shifted, for a checksum of data that hold checksums says little (tensorflow/core/lib/hash/crc32c.h). */
function maskedCrc(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli), RFC 3720 B.4. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
  return ~crc >>> 0;
}

const table = Uint32Array.from({length: 256}, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

function key(field: number, wireType: 0 | 1 | 2 | 5): Buffer {
  return varint(BigInt((field << 3) | wireType));
}

function varintField(field: number, value: bigint): Buffer {
  return Buffer.concat([key(field, 0), varint(value)]);
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([key(field, 2), varint(BigInt(bytes.length)), bytes]);
}

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}
