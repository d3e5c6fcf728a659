import type {Command} from 'commander';
import {messageOf} from '../errors.js';
import {type Diagnosis, diagnose, type Finding} from '../native/diagnose.js';
import type {Env} from '../reward/code/sandbox/launcher.js';
import {openSandbox} from '../reward/code/sandbox.js';
import {jsonText, print} from './terminal.js';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('say what is here, what is missing and the command that mends it')
    .option('--json', 'for programs')
    .addHelpText('after', '\nChanges nothing. Exit code 1 when training cannot run.')
    .action(async ({json}: {json?: boolean}) => {
      const [found, sandbox] = await Promise.all([diagnose(), diagnoseSandbox(process.env)]);
      const diagnosis = {...found, findings: [...found.findings, sandbox]};
      print(process.stdout, json ? `${jsonText(diagnosis, 2)}\n` : formatDiagnosis(diagnosis));
      if (!diagnosis.canTrain) process.exitCode = 1;
    });
}

/** Only rewards that run programs need one, so its absence is a note. */
export async function diagnoseSandbox(env: Env): Promise<Finding> {
  const name = 'Sandbox';
  try {
    const sandbox = await openSandbox({env});
    await sandbox.close();
    return {name, status: 'ok', message: `${sandbox.kind}: ${sandbox.description}; every attack was stopped`};
  } catch (error) {
    return {name, status: 'note', message: `reward.function code cannot run. ${messageOf(error)}`};
  }
}

export function formatDiagnosis(diagnosis: Diagnosis): string {
  const {version, root, cache} = diagnosis.package;
  return [
    `ilr-native ${version} in ${root}, cache ${cache}`,
    '',
    ...diagnosis.findings.flatMap(formatFinding),
    ...diagnosis.devices.map(({name, description}) => `ok       Device     ${name}: ${description}`),
    '',
    diagnosis.canTrain ? 'Training can run.' : 'Training cannot run yet. Mend what is missing above, from the top.',
    '',
  ].join('\n');
}

const marks = {ok: 'ok', missing: 'MISSING', note: 'note'} as const;

function formatFinding({name, status, message, mend}: Finding): readonly string[] {
  const line = `${marks[status].padEnd(8)} ${name.padEnd(10)} ${message.replaceAll('\n', `\n${' '.repeat(20)}`)}`;
  return mend === undefined ? [line] : [line, `${' '.repeat(20)}→ ${mend}`];
}
