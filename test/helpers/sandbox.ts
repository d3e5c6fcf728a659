import type {ExecutionContext} from 'ava';
import {openSandbox, type Sandbox} from '../../src/reward/code/sandbox.js';

let opened: Promise<Sandbox> | undefined;

/** The sandbox of this machine, one for a test file. Where there is none the test is skipped with the reason, but fails where CI is true. */
export async function testSandbox(t: ExecutionContext): Promise<Sandbox | undefined> {
  opened ??= openSandbox();
  try {
    return await opened;
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    t.log(`skipped: ${String(error)}`);
    t.pass();
    return undefined;
  }
}

export function job(runner: string, payload: string | Buffer = ''): {readonly input: Buffer} {
  return {input: Buffer.concat([Buffer.from(`${JSON.stringify({runner})}\n`), Buffer.from(payload)])};
}
