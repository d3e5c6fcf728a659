import {chmod} from 'node:fs/promises';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {diagnoseSandbox, formatDiagnosis} from '../../src/cli/doctor.js';
import type {Diagnosis, Finding} from '../../src/native/diagnose.js';
import {folderWith} from '../helpers/folder.js';
import {sandboxTest} from '../helpers/sandbox.js';

/** A machine on which bwrap says `message` and gives up. */
async function diagnoseWith(t: ExecutionContext, message: string): Promise<Finding> {
  const folder = await folderWith(t, {bwrap: `#!/bin/sh\necho '${message}' >&2\nexit 1\n`});
  for (const path of [folder, join(folder, 'bwrap')]) await chmod(path, 0o755);
  return diagnoseSandbox({PATH: folder});
}

function shown(finding: Finding): string {
  return formatDiagnosis({
    canTrain: true,
    findings: [finding],
    package: {version: '1', root: '/', cache: '/'},
    devices: [],
  } as unknown as Diagnosis);
}

test('without bwrap doctor says how to get it, as a note', async (t) => {
  const finding = await diagnoseSandbox({PATH: '/nowhere'});
  t.is(finding.status, 'note');
  t.regex(shown(finding), /note {5}Sandbox .*apt-get install bubblewrap/s);
});

test("where AppArmor refuses bwrap, as Ubuntu's does, doctor prints a profile for bwrap alone", async (t) => {
  const {status, message} = await diagnoseWith(t, 'bwrap: setting up uid map: Permission denied');
  t.is(status, 'note');
  t.regex(message, /setting up uid map: Permission denied/);
  t.regex(message, /\/etc\/apparmor\.d\/bwrap/);
  t.regex(message, /^profile bwrap \/usr\/bin\/bwrap flags=\(unconfined\) \{\n {2}userns,$/m);
  t.notRegex(message, /apparmor_restrict_unprivileged_userns/);
});

test('where a container refuses namespaces, doctor names the option that allows them', async (t) => {
  const refusals = [
    'bwrap: No permissions to create new namespace, likely because the kernel does not allow it.',
    'bwrap: Creating new namespace failed: Operation not permitted',
  ];
  for (const refusal of refusals)
    t.regex((await diagnoseWith(t, refusal)).message, /--security-opt seccomp=unconfined/);
});

sandboxTest('doctor says which sandbox is in use', async (t, sandbox) => {
  const finding = await diagnoseSandbox(process.env);
  t.is(finding.status, 'ok');
  t.regex(finding.message, new RegExp(`^${sandbox.kind}: .*Python 3.*every attack was stopped$`));
});
