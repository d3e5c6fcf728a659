import {IlrError} from '../errors.js';
import {hasNvidiaDevice} from './addon.js';
import type {Env} from './paths.js';
import {runProcess} from './run-process.js';

/** Of NVIDIA's driver, the first version that runs each major version of CUDA. */
const oldestDriver: Readonly<Record<number, number>> = {12: 525, 13: 580};

/** The version of NVIDIA's driver, or undefined where there is none that answers. */
export async function readDriver(env: Env): Promise<string | undefined> {
  const query = ['--query-gpu=driver_version', '--format=csv,noheader'];
  const {code, stdout} = await runProcess('nvidia-smi', query, {env, timeoutMs: 15_000});
  return code === 0 ? /^\s*(\d+\.\d[\d.]*)/.exec(stdout)?.[1] : undefined;
}

/** Of a LibTorch variant: cu130 is CUDA 13. A folder that does not say is taken for the one that `setup` gets. */
export function cudaMajor(variant: string): number {
  return Number(/^cu(\d+)\d$/.exec(variant)?.[1] ?? 13);
}

/** What keeps a GPU from being used with CUDA `major`, or undefined. */
export async function findDriverProblem(env: Env, major: number): Promise<string | undefined> {
  const version = await readDriver(env);
  if (version === undefined) {
    return hasNvidiaDevice()
      ? "an NVIDIA GPU is there, but nvidia-smi, which comes with NVIDIA's driver, does not answer"
      : "no NVIDIA GPU with NVIDIA's driver was found (nvidia-smi does not run)";
  }
  const oldest = oldestDriver[major] ?? 0;
  if (Number(version.split('.')[0]) >= oldest) return undefined;
  return `NVIDIA's driver is ${version}, but CUDA ${major} needs ${oldest} or later`;
}

export async function requireDriver(env: Env, major: number): Promise<void> {
  const problem = await findDriverProblem(env, major);
  if (problem === undefined) return;
  throw new IlrError(
    'ILR_UNSUPPORTED',
    `A set-up for a GPU was asked for, but ${problem}. Install or update the driver, or set up for the CPU: \`npx ilr-native setup --device cpu\`.`,
  );
}
