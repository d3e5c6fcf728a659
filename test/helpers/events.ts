/** Reads TensorBoard's event files, written apart from `src/record/event-bytes.ts`: sums bit by bit, fields by their wire types. */

export interface ReadEvent {
  readonly wallTime: number;
  readonly step: number;
  readonly version?: string;
  /** A session log of this status; 1 is START. */
  readonly session?: number;
  readonly scalars?: Readonly<Record<string, number>>;
}

type Field = readonly [number: number, value: bigint | Buffer];

/** @throws Error where a checksum does not hold, or the last record is not whole. */
export function readEvents(file: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    requireSum(file.subarray(at, at + 8), file.readUInt32LE(at + 8));
    requireSum(data, file.readUInt32LE(at + 12 + length));
    events.push(readEvent(data));
    at += 16 + length;
  }
  return events;
}

function requireSum(data: Buffer, masked: number): void {
  const rotated = (masked - 0xa282ead8) >>> 0;
  const expected = ((rotated << 15) | (rotated >>> 17)) >>> 0;
  if (castagnoli(data) !== expected) throw new Error('checksum');
}

/** Long division by x^32 + 0x1edc6f41, bits reflected, none of it by a table. */
export function castagnoli(data: Uint8Array): number {
  let rest = 0xffffffffn;
  for (const byte of data) {
    for (let bit = 0n; bit < 8n; bit++) {
      const top = ((rest >> 31n) & 1n) ^ ((BigInt(byte) >> bit) & 1n);
      rest = ((rest << 1n) & 0xffffffffn) ^ (top === 1n ? 0x1edc6f41n : 0n);
    }
  }
  const reflected = [...rest.toString(2).padStart(32, '0')].reverse().join('');
  return Number(BigInt(`0b${reflected}`) ^ 0xffffffffn);
}

function readEvent(data: Buffer): ReadEvent {
  const fields = new Map(fieldsOf(data));
  const buffer = (number: number) => fields.get(number) as Buffer | undefined;
  const session = buffer(7);
  const summary = buffer(5);
  return {
    wallTime: buffer(1)?.readDoubleLE() as number,
    step: Number(fields.get(2) ?? 0n),
    ...(buffer(3) && {version: buffer(3)?.toString()}),
    ...(session && {session: Number(new Map(fieldsOf(session)).get(1))}),
    ...(summary && {scalars: Object.fromEntries(fieldsOf(summary).map(([, value]) => scalarOf(value as Buffer)))}),
  };
}

function scalarOf(value: Buffer): [string, number] {
  const fields = new Map(fieldsOf(value));
  return [(fields.get(1) as Buffer).toString(), (fields.get(2) as Buffer).readFloatLE()];
}

function fieldsOf(data: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number) => {
    at += length;
    if (at > data.length) throw new Error('not whole');
    return data.subarray(at - length, at);
  };
  while (at < data.length) {
    const key = Number(varint());
    const type = key & 7;
    if (type === 0) fields.push([key >> 3, varint()]);
    else fields.push([key >> 3, bytes(type === 2 ? Number(varint()) : type === 1 ? 8 : 4)]);
  }
  return fields;
}
