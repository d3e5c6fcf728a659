import {execFileSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {cpus, totalmem} from 'node:os';
import path from 'node:path';

/** Prints a result with the machine, commit and command that it comes from; `--out file` writes it too. */
export function report(script, values) {
  const args = process.argv.slice(2);
  const out = args.indexOf('--out');
  const result = {
    command: ['node', `bench/${script}`, ...args].join(' '),
    commit:
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', 'native', 'src') === '' ? '' : ' with changes'),
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      loadAverage: Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]),
      node: process.version,
    },
    ...values,
  };
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  process.stdout.write(text);
  if (out < 0) return;
  mkdirSync(path.dirname(args[out + 1]), {recursive: true});
  writeFileSync(args[out + 1], text);
}

/** In the copy that check-gpu.sh makes the commit is told, not asked. */
function git(...args) {
  if (process.env.ILR_CHECK_COMMIT) return args[0] === 'rev-parse' ? process.env.ILR_CHECK_COMMIT : '';
  return execFileSync('git', args, {encoding: 'utf8', cwd: import.meta.dirname}).trim();
}
