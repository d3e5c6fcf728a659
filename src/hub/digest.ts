import {createHash, type Hash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import type {HubFile} from './listing.js';

/** The hash that a file is known by: sha256, else the sha1 of its git object. */
export type Known = Pick<HubFile, 'bytes' | 'sha256' | 'gitBlob'>;

export function startDigest({bytes, sha256}: Known): Hash {
  return sha256 !== undefined ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

export function isRight(digest: Hash, {sha256, gitBlob}: Known): boolean {
  return digest.copy().digest('hex') === (sha256 ?? gitBlob);
}

/** Feeds what a file holds, up to its size. */
export async function feedFile(
  digest: Hash,
  file: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for await (const chunk of createReadStream(file, {highWaterMark: 1 << 20, signal}) as AsyncIterable<Buffer>) {
    digest.update(chunk);
    bytes += chunk.length;
    onBytes(chunk.length);
  }
  return bytes;
}

export function hasHash({sha256, gitBlob}: Known): boolean {
  return sha256 !== undefined || gitBlob !== undefined;
}
