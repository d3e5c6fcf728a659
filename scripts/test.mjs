// Everything that `npm test` checks: sets up with the C++ tests, runs those (CTest), compiles the GPU's kernels
// (cuda-compile.mjs), runs the core's tests again under the sanitizers (sanitize.mjs) and the TypeScript tests (ava), and ends with one line that sums both: `N passed, N failed`.
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in view and returns its exit code with what it printed. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {cwd: root, stdio: ['ignore', 'pipe', 'pipe']});
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
        process.stdout.write(chunk);
      });
    }
    child.on('error', (error) => resolve({code: 1, text: `${text}\n${error.message}`}));
    child.on('close', (code) => resolve({code: code ?? 1, text}));
  });
}

function sum(text, pattern) {
  return [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
}

/** A program that failed without saying what is one failure. */
function count({code, text}, passed, failed, skipped) {
  const counts = {passed: sum(text, passed), failed: sum(text, failed), skipped: sum(text, skipped)};
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** The C++ test program's own last line, or CTest's count where there is none. */
function countCtest(result) {
  const checks = count(result, /(\d+) passed, \d+ failed/g, /\d+ passed, (\d+) failed/g, /^(?:\d+: )?(\d+) skipped$/gm);
  if (checks.passed + checks.failed > 0) return checks;
  return count(result, /Test +#\d+: .*(?:\.{3}|\s)Passed/g, /, (\d+) tests? failed out of/g, /$^/g);
}

/** ava leaves its own sum of passed tests out where one failed: their lines are counted. */
function countAva(result) {
  const failures = /^\s+(\d+) (?:tests? failed|uncaught exceptions?|unhandled rejections?|hooks? failed)/gm;
  const counts = count(result, /$^/g, failures, /^\s+(\d+) tests? skipped/gm);
  return {...counts, passed: result.text.match(/^\s+✔ /gm)?.length ?? 0};
}

function total(parts, key) {
  return parts.reduce((amount, part) => amount + part[key], 0);
}

/** The sandbox's tests need bubblewrap: fetched where that asks nobody, else they are skipped with the reason (with CI=true they fail). */
async function installBubblewrap() {
  const exists = (name) =>
    (process.env.PATH ?? '').split(path.delimiter).some((folder) => existsSync(path.join(folder, name)));
  if (exists('bwrap') || process.getuid() !== 0 || !exists('apt-get')) return;
  const install = () => run('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'bubblewrap', 'python3']);
  if ((await install()).code === 0) return;
  await run('apt-get', ['update', '-q']);
  await install();
}

const files = process.argv.slice(2); // of ava; none: all
await installBubblewrap();
const setup = await run(process.execPath, ['bin/ilr-native.js', 'setup', '--tests']);
const parts = [count(setup, /$^/g, /$^/g, /$^/g)];
if (setup.code === 0) {
  if (files.length === 0) {
    parts.push(countCtest(await run(await ctest(), ['--test-dir', await buildFolder(), '-V'])));
    parts.push(countCtest(await run(process.execPath, ['scripts/cuda-compile.mjs'])));
    parts.push(countCtest(await run(process.execPath, ['scripts/sanitize.mjs'])));
  }
  parts.push(countAva(await run(process.execPath, ['node_modules/ava/entrypoints/cli.mjs', ...files])));
}

/** CTest lies beside the CMake that built the addon. */
async function ctest() {
  const {findCmake} = await import('../dist/src/native/toolchain.js');
  return (await findCmake(process.env)).replace(/cmake$/, 'ctest');
}

async function buildFolder() {
  const paths = await import('../dist/src/native/paths.js');
  return paths.buildFolder(paths.packageRoot(), process.env);
}

const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map((key) => total(parts, key));
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
process.exitCode = failed === 0 ? 0 : 1;
