import {chmod, mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {crc32, deflateRawSync} from 'node:zlib';

/** A folder that looks like a Python torch folder: its headers say `version`, its libraries are empty. */
export async function fakeLibtorch(folder: string, version: string, headerVersion = version): Promise<string> {
  const [major, minor, patch] = headerVersion.split('+')[0]?.split('.') ?? [];
  const header = [
    `#define TORCH_VERSION_MAJOR ${major}`,
    `#define TORCH_VERSION_MINOR ${minor}`,
    `#define TORCH_VERSION_PATCH ${patch}`,
  ].join('\n');
  await writeFiles(folder, {
    'lib/libtorch_cpu.so': '',
    'include/ATen/core/Tensor.h': '',
    'include/torch/headeronly/version.h': header,
    'version.py': `__all__ = ['__version__']\n__version__ = '${version}'\ncuda: Optional[str] = None\n`,
  });
  return folder;
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), {recursive: true});
    await writeFile(file, text);
  }
}

/** A program of this name in `folder` that runs `script` with sh. */
export async function fakeProgram(folder: string, name: string, script: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFiles(folder, {[name]: `#!/bin/sh\n${script}\n`});
  await chmod(file, 0o755);
  return file;
}

export interface ZipMember {
  readonly name: string;
  readonly text: string;
  /** Unix mode; a link is 0o120777. */
  readonly mode?: number;
}

/** A zip archive, as a wheel is one, of any names at all. */
export function zip(members: readonly ZipMember[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const {name, text, mode = 0o100644} of members) {
    const packed = deflateRawSync(text);
    const shared = Buffer.alloc(26); // what a member's header and its directory entry both hold, from the version on
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(crc32(text), 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(Buffer.byteLength(text), 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const body = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    const madeBy = Buffer.from([20, 3]);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), madeBy, shared, rest, Buffer.from(name)]));
    bodies.push(body);
    offset += body.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(members.length, 4);
  end.writeUInt16LE(members.length, 6);
  end.writeUInt32LE(entries.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...bodies, entries, Buffer.from('PK\x05\x06', 'latin1'), end]);
}
