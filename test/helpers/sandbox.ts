import {readdirSync, readFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {messageOf} from '../../src/errors.js';
import {openSandbox, type Sandbox} from '../../src/reward/code/sandbox.js';

/** The sandbox of this machine, or why there is none. Where CI is true there has to be one. */
const opened: Sandbox | string = await openSandbox().catch((error: unknown) => {
  if (process.env.CI === 'true') throw error;
  return messageOf(error);
});

let isFirst = true; // ava wants all of a file's tests and hooks declared at once: not on import, which may be followed by an await

/** A test that runs programs; skipped, with the reason, on a machine without a sandbox. */
export function sandboxTest(
  title: string,
  implementation: (t: ExecutionContext, sandbox: Sandbox) => Promise<unknown>,
): void {
  if (typeof opened === 'string') {
    test.skip(`${title} (${opened.split('\n')[0]})`, () => undefined);
    return;
  }
  if (isFirst) test.after.always(() => opened.close());
  isFirst = false;
  test(title, async (t) => void (await implementation(t, opened)));
}

export function job(runner: string, payload: string | Buffer = ''): {readonly input: Buffer} {
  return {input: Buffer.concat([Buffer.from(`${JSON.stringify({runner})}\n`), Buffer.from(payload)])};
}

/** Processes whose command line holds `word`; one that is just being taken away gets a second. */
export async function survivors(word: string, attempts = 20): Promise<readonly string[]> {
  for (let attempt = 0; ; attempt++) {
    const found = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(word));
    if (found.length === 0 || attempt >= attempts) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
