import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import path from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {loadAddon} from '../../src/native/addon.js';
import type {Addon} from '../../src/native/addon-types.js';
import {buildFolder, packageRoot} from '../../src/native/paths.js';
import {temporaryFolder, tinyPolicy} from '../helpers/native.js';
import {collect, ragged, streams} from '../helpers/tiny-model.js';

const program = path.join(buildFolder(packageRoot(), process.env), 'ilr_generate');
const run = promisify(execFile);
// Built with the C++ tests only (`setup --tests`, as `npm test` does).
const testWithTool = existsSync(program) ? test : test.skip;

test('the addon computes and says which LibTorch and package it is from', (t) => {
  const addon = loadAddon() as Addon;
  const {torch, threads, sum} = addon.selfTest();
  t.regex(torch, /^2\.1[1-5]\./);
  t.true(threads >= 1);
  t.is(sum, 45);
  t.regex(addon.version, /^\d+\.\d+\.\d+/);
  t.is(addon.cudaDevices(), 0, 'the GPU half of LibTorch is not loaded for the CPU');
});

testWithTool('the core generates the same without Node', async (t) => {
  const policy = await tinyPolicy();
  const folder = await temporaryFolder(t);
  await policy.save(folder);
  const [completion] = await collect(
    policy.generate({
      prompts: ragged([[3, 7, 11]]),
      samplesPerPrompt: 1,
      streams: streams(1),
      maxNewTokens: 12,
      temperature: 0,
      stopIds: [],
    }),
  );
  const {stdout} = await run(program, [folder, '--ids', '3,7,11', '--max-new-tokens', '12', '--temperature', '0']);
  const [, ids, logprobs, reason] = /^ids (.*) logprobs (.*) finish (\w+)\n$/.exec(stdout) ?? [];
  t.deepEqual(ids?.split(' ').map(Number), [...(completion?.ids ?? [])]);
  t.is(reason, 'length');
  logprobs?.split(' ').forEach((logprob, i) => {
    t.true(Math.abs(Number(logprob) - (completion?.logprobs[i] as number)) < 1e-4);
  });
});

testWithTool('the tool refuses wrong input with a code', async (t) => {
  const folder = await temporaryFolder(t);
  const fails = async (args: string[], message: RegExp) => {
    const error = await t.throwsAsync(run(program, args));
    const {code, stderr} = error as unknown as {code: number; stderr: string};
    t.is(code, 1);
    t.regex(stderr, message);
  };
  await fails([], /^ILR_INVALID_ARGUMENT: usage/);
  await fails([folder, '--ids', '1', '--max-new-tokens', '2'], /^ILR_IO: /);
  await (await tinyPolicy()).save(folder);
  await fails([folder, '--ids', '1,64', '--max-new-tokens', '2'], /^ILR_INVALID_ARGUMENT: --ids.*63/);
  await fails([folder, '--ids', '1,,2', '--max-new-tokens', '2'], /^ILR_INVALID_ARGUMENT: --ids/);
  await fails([folder, '--ids', '1', '--max-new-tokens', 'x'], /^ILR_INVALID_ARGUMENT: --max-new-tokens/);
  await fails([folder, '--ids', '1', '--max-new-tokens'], /^ILR_INVALID_ARGUMENT: no value/);
  await fails([folder, '--id', '1'], /^ILR_INVALID_ARGUMENT: unknown option/);
});
