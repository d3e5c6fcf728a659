import {execFile} from 'node:child_process';
import {cp} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {packageRoot, packageVersion} from '../../src/native/paths.js';
import {folderWith} from '../helpers/folder.js';

const root = packageRoot();

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function cli(args: readonly string[], env: NodeJS.ProcessEnv = {}, bin = path.join(root, 'bin', 'ilr-native.js')) {
  return new Promise<Ended>((resolve) => {
    execFile(process.execPath, [bin, ...args], {env: {...process.env, ...env}}, (error, stdout, stderr) =>
      resolve({code: error ? Number(error.code) : 0, stdout, stderr}),
    );
  });
}

test('help names every command and how to start', async (t) => {
  const {code, stdout} = await cli(['--help']);
  t.is(code, 0);
  for (const command of [
    'setup',
    'doctor',
    'demo',
    'estimate',
    'train',
    'eval',
    'data',
    'pull',
    'report',
    'sample',
    'grade',
  ])
    t.regex(stdout, new RegExp(`^ {2}${command} `, 'm'));
  t.regex(stdout, /Start here:/);
  t.is((await cli(['--version'])).stdout.trim(), packageVersion(root));
  t.regex((await cli(['help', 'setup'])).stdout, /--libtorch <folder>/);
});

test('an unknown command or option is an error that names the nearest', async (t) => {
  const command = await cli(['trian']);
  t.is(command.code, 1);
  t.regex(command.stderr, /unknown command 'trian'[\s\S]*Did you mean train/);
  const option = await cli(['setup', '--forse']);
  t.is(option.code, 1);
  t.regex(option.stderr, /unknown option '--forse'[\s\S]*Did you mean --force/);
});

test('after a wrong option a command points at its own help', async (t) => {
  const hints: readonly (readonly [string[], string])[] = [
    [['trian'], 'ilr-native --help tells the commands'],
    [['setup', '--device', 'gpu'], 'ilr-native setup --help tells its options'],
    [['grade', 'maths'], 'ilr-native grade --help tells the commands'],
    [['grade', 'math', '--percent', 'never'], 'ilr-native grade math --help tells its options'],
  ];
  for (const [args, hint] of hints) {
    const {code, stderr} = await cli(args);
    t.is(code, 1);
    t.true(stderr.endsWith(`(${hint})\n`), stderr);
  }
});

test('an IlrError is its message, exit code 1, and a stack only when asked for', async (t) => {
  const env = {ILR_LIBTORCH: '/nowhere'};
  const plain = await cli(['setup'], env);
  t.is(plain.code, 1);
  t.is(plain.stdout, '');
  t.regex(
    plain.stderr,
    /^error: ILR_LIBTORCH must name a LibTorch folder.*but \/nowhere has no lib\/libtorch_cpu\.so\..*\n$/,
  );
  t.regex((await cli(['setup'], {...env, ILR_DEBUG: '1'})).stderr, /ILR_INVALID_ARGUMENT IlrError: .*\n +at /);
});

test('without dist/ the program says what to run', async (t) => {
  const folder = await folderWith(t, {'package.json': {type: 'module'}});
  await cp(path.join(root, 'bin'), path.join(folder, 'bin'), {recursive: true});
  const {code, stderr} = await cli(['--help'], {}, path.join(folder, 'bin', 'ilr-native.js'));
  t.is(code, 1);
  t.regex(stderr, /Run `npm run build`/);
});

test('what a command line or a folder is called does not reach the terminal as control', async (t) => {
  for (const args of [['report', '\u001b[31mx\u202E'], ['report', 'x', '--\u001b[2Jy\u009b'], ['\u001b]0;t\u0007']]) {
    const {code, stdout, stderr} = await cli(args);
    t.is(code, 1);
    t.notRegex(stdout + stderr, /(?![\n\t])[\p{Cc}\p{Cf}]/u);
  }
});
