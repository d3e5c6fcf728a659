// Compiles native/cuda for every architecture that it names and links it, where no GPU is: nvcc is the system's or pip's.
// Counts its checks as the C++ tests do: `N passed, N failed`.
//   node scripts/cuda-compile.mjs [<build folder>]      (after `npm run setup`, whose LibTorch it uses)
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync} from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {findOrGetNvcc} from '../dist/src/native/nvcc.js';
import {buildFolder, packageRoot} from '../dist/src/native/paths.js';
import {readState} from '../dist/src/native/state.js';
import {findToolchain} from '../dist/src/native/toolchain.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.resolve(process.argv[2] ?? path.join(root, 'native', 'build', 'cuda'));
const report = ({message, done}) => done === undefined && console.log(message);
const counts = {passed: 0, failed: 0, skipped: 0};

function check(title, outcome, detail = '') {
  counts[outcome] += 1;
  console.log(
    `${{passed: 'ok', failed: 'not ok', skipped: 'skip'}[outcome].padEnd(7)} ${title}${detail && `\n${detail}`}`,
  );
  return outcome === 'passed';
}

function run(command, args) {
  const {status, stdout, stderr, error} = spawnSync(command, args, {encoding: 'utf8', maxBuffer: 1 << 26});
  return {ok: status === 0, text: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`};
}

const libtorch = readState(buildFolder(packageRoot(), process.env)).libtorch.folder;
const nvcc = await findOrGetNvcc(process.env, report);
const tools = await findToolchain(process.env, report);
console.log(`nvcc ${nvcc.version} (${nvcc.file}), LibTorch ${libtorch}`);
mkdirSync(folder, {recursive: true});
const configured = run(tools.cmake, [
  ...['-S', root, '-B', folder, '-G', tools.generator, `-DCMAKE_MAKE_PROGRAM=${tools.makeProgram}`],
  ...[`-DCMAKE_CXX_COMPILER=${tools.compiler.cxx}`, `-DCMAKE_C_COMPILER=${tools.compiler.cc}`],
  ...[`-DILR_LIBTORCH=${libtorch}`, '-DILR_ADDON=OFF', '-DILR_CUDA=ON', `-DILR_NVCC=${nvcc.file}`],
]);
const built = configured.ok
  ? run(tools.cmake, ['--build', folder, '--target', 'ilr_cuda', 'ilr_cuda_kernels', '--parallel'])
  : configured;
const title = 'cuda: kernels and glue compile for sm_80 and sm_90';
const lastLines = built.text.split('\n').slice(-40).join('\n');
if (check(title, built.ok ? 'passed' : 'failed', built.ok ? '' : lastLines)) checkLibrary();

function checkLibrary() {
  const library = path.join(folder, 'libilr_cuda.so');
  const linked = "cuda: the library links against the CUDA wheel's c10_cuda, nothing undefined";
  if (!existsSync(path.join(libtorch, 'lib', 'libc10_cuda.so'))) {
    return check(`${linked} (this LibTorch has none)`, 'skipped');
  }
  if (!check(linked, existsSync(library) ? 'passed' : 'failed')) return undefined;
  // Opened as the loader does it, without a driver: c10, c10_cuda, then the library, whose table must be there.
  const program = path.join(root, 'native', 'build', 'ilr_core_test');
  if (!existsSync(program)) return check('cuda: the library opens without a GPU', 'skipped');
  const {ok, text} = run('/usr/bin/env', [`ILR_CUDA_LIBRARY=${library}`, program, 'cuda library']);
  return check(
    'cuda: the library opens without a GPU and hands its table over',
    ok ? 'passed' : 'failed',
    ok ? '' : text,
  );
}

if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed === 0 ? 0 : 1;
