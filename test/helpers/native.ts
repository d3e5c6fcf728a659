import {spawn} from 'node:child_process';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {ExecutionContext} from 'ava';
import {NativePolicy, type NativePolicyOptions} from '../../src/native/native-policy.js';
import {NativeRuntime} from '../../src/native/runtime.js';
import {tinyConfigs} from './tiny-model.js';

let shared: Promise<NativeRuntime> | undefined;

/** One CPU runtime of one thread for a whole test file. */
export function cpuRuntime(): Promise<NativeRuntime> {
  shared ??= NativeRuntime.open({device: 'cpu', threads: 1});
  return shared;
}

export async function tinyPolicy(
  family: keyof typeof tinyConfigs = 'qwen2',
  {seed = 1, config = {}, ...options}: NativePolicyOptions & {seed?: number; config?: object} = {},
): Promise<NativePolicy> {
  return NativePolicy.create({...tinyConfigs[family], ...config}, {runtime: await cpuRuntime(), seed, ...options});
}

/** A folder that is gone after the test. */
export async function temporaryFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ilr-native-test-'));
  t.teardown(() => rm(folder, {recursive: true, force: true}));
  return folder;
}

export interface ChildResult {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
}

/** Runs an ES module in a Node process of its own. It finds `NativePolicy`, `NativeRuntime` and `tiny` (tiny-model.ts) in scope. */
export async function runModule(
  t: ExecutionContext,
  body: string,
  {shell = ''}: {readonly shell?: string} = {},
): Promise<ChildResult> {
  const url = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const source = `
    import {NativePolicy} from ${url('../../src/native/native-policy.js')};
    import {NativeRuntime} from ${url('../../src/native/runtime.js')};
    import * as tiny from ${url('./tiny-model.js')};
    ${body}`;
  const file = path.join(await temporaryFolder(t), 'child.mjs');
  await writeFile(file, source);
  const child = spawn('/bin/sh', ['-c', `${shell} exec "$0" --expose-gc "$1"`, process.execPath, file]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({code, signal, output}));
  });
}
