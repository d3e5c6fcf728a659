// npm run fuzz [-- --seconds N] [reader …]: builds the readers of untrusted files with clang's libFuzzer and runs each for ten
// minutes (or N seconds), from the seeds of native/test/corpus. A finding is printed and its input kept in native/build/fuzz.
import {spawn, spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'native', 'build', 'fuzz');
const readers = ['safetensors', 'config', 'checkpoint'];
const {values, positionals} = parseArgs({options: {seconds: {type: 'string', default: '600'}}, allowPositionals: true});
const seconds = Number(values.seconds);
const wanted = positionals.length > 0 ? positionals : readers;
if (!Number.isInteger(seconds) || seconds < 1 || wanted.some((reader) => !readers.includes(reader))) {
  fail(`Expected npm run fuzz [-- --seconds <whole number>] [${readers.join('|')}]`);
}

const clang = findClang();
const {readState} = await import('../dist/src/native/state.js');
const {buildFolder} = await import('../dist/src/native/paths.js');
const {findToolchain} = await import('../dist/src/native/toolchain.js');
const libtorch = process.env.ILR_LIBTORCH ?? readState(buildFolder(root, process.env))?.libtorch.folder;
if (!libtorch) fail('No LibTorch is set up. Run `npm run setup`, or set ILR_LIBTORCH.');
const {cmake, generator, makeProgram} = await findToolchain(process.env, () => {});
mkdirSync(folder, {recursive: true});
await run(cmake, [
  '-S',
  root,
  '-B',
  folder,
  '-G',
  generator,
  `-DCMAKE_MAKE_PROGRAM=${makeProgram}`,
  `-DILR_LIBTORCH=${libtorch}`,
  '-DILR_ADDON=OFF',
  '-DILR_FUZZ=ON',
  `-DCMAKE_C_COMPILER=${clang}`,
  `-DCMAKE_CXX_COMPILER=${clang.replace('clang', 'clang++')}`,
]);
await run(cmake, ['--build', folder, '--parallel', '2', '--target', ...wanted.map((reader) => `ilr_fuzz_${reader}`)]);

for (const reader of wanted) {
  const found = path.join(folder, `corpus-${reader}`); // grows from run to run
  mkdirSync(found, {recursive: true});
  process.stdout.write(`\n${reader}: ${seconds} s\n`);
  await run(path.join(folder, `ilr_fuzz_${reader}`), [
    found,
    path.join(root, 'native', 'test', 'corpus', reader),
    `-max_total_time=${seconds}`,
    '-max_len=65536',
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-malloc_limit_mb=1024',
    '-print_final_stats=1',
    `-artifact_prefix=${folder}/finding-${reader}-`,
  ]);
}
process.stdout.write(`\n${wanted.join(', ')}: no finding\n`);

function findClang() {
  const names = [process.env.ILR_CLANG, 'clang', ...[20, 19, 18, 17, 16, 15, 14].map((version) => `clang-${version}`)];
  const found = names.find((name) => name && spawnSync(name, ['--version']).status === 0);
  if (!found)
    fail(
      'clang is missing. Install it with its run-time library: `apt install clang libclang-rt-14-dev` (Debian), `apt install clang` (Ubuntu), or name it in ILR_CLANG.',
    );
  return found;
}

/** Runs a program in view; one that fails ends this. */
function run(command, args) {
  // LibTorch's own globals are no leaks of ours.
  const env = {...process.env, ASAN_OPTIONS: 'detect_leaks=0', UBSAN_OPTIONS: 'print_stacktrace=1'};
  return new Promise((resolve) => {
    const child = spawn(command, args, {cwd: root, stdio: 'inherit', env});
    child.on('error', (error) => fail(error.message));
    child.on('close', (code, signal) =>
      code === 0 ? resolve() : fail(`${path.basename(command)} ended with ${signal ?? code}`),
    );
  });
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
