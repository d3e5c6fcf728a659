// The core's own tests under AddressSanitizer and UndefinedBehaviorSanitizer, with the seeds of native/test/corpus; LibTorch is
// not instrumented. A part of `npm test`; alone: `npm run build && node scripts/sanitize.mjs [filter …]`.
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildFolder} from '../dist/src/native/paths.js';
import {readState} from '../dist/src/native/state.js';
import {findToolchain} from '../dist/src/native/toolchain.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'native', 'build', 'sanitize');
const libtorch = process.env.ILR_LIBTORCH ?? readState(buildFolder(root, process.env))?.libtorch.folder;
const {cmake, generator, makeProgram, compiler} = await findToolchain(process.env, () => {});
mkdirSync(folder, {recursive: true});
run(cmake, [
  ...['-S', root, '-B', folder, '-G', generator, `-DCMAKE_MAKE_PROGRAM=${makeProgram}`, `-DILR_LIBTORCH=${libtorch}`],
  ...[`-DCMAKE_CXX_COMPILER=${compiler.cxx}`, `-DCMAKE_C_COMPILER=${compiler.cc}`],
  ...['-DILR_ADDON=OFF', '-DILR_TESTS=ON', '-DILR_SANITIZE=ON'],
]);
run(cmake, ['--build', folder, '--parallel', '2', '--target', 'ilr_core_test']);
run(path.join(folder, 'ilr_core_test'), process.argv.slice(2), {
  // LibTorch's own globals are no leaks of ours, and its allocator answers null where there is no memory.
  ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1:detect_odr_violation=0',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  OMP_NUM_THREADS: '2',
});

function run(command, args, env = {}) {
  const {status, signal, error} = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: {...process.env, ...env},
  });
  if (status === 0) return;
  process.stderr.write(`${path.basename(command)} ended with ${error?.message ?? signal ?? status}\n`);
  process.exit(1);
}
