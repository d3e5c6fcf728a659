import {fork} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {IlrError} from '../errors.js';

export interface AddonFiles {
  readonly file: string;
  readonly loader: string;
  /** LibTorch's folder. */
  readonly libtorch: string;
  /** libilr_cuda.so, the GPU's kernels, where they are built. */
  readonly kernels?: string;
}

export interface Proof {
  readonly torch: string;
  readonly threads: number;
  readonly sum: number;
}

export type ProofMessage = {readonly proof: Proof} | {readonly error: string};

/** Loads the addon, with LibTorch's GPU half if asked, in a child process and lets it compute: a crash there is a message here. */
export function proveAddon(files: AddonFiles, {cuda = false, timeoutMs = 120_000} = {}): Promise<Proof> {
  const script = fileURLToPath(new URL('./prove-child.js', import.meta.url));
  const {file, loader, libtorch, kernels = ''} = files;
  return new Promise((resolve, reject) => {
    const child = fork(script, [file, loader, libtorch, kernels, cuda ? 'cuda' : 'cpu'], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      timeout: timeoutMs,
    });
    let answer: ProofMessage | undefined;
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-2000);
    });
    child.on('message', (message) => {
      answer = message as ProofMessage;
    });
    child.on('error', (error) => reject(unproved(error.message)));
    child.on('close', (code, signal) => {
      if (answer && 'proof' in answer && Number.isFinite(answer.proof.sum)) return resolve(answer.proof);
      const ended = signal ? `the process was ended by ${signal}` : `the process ended with code ${code}`;
      reject(unproved(answer && 'error' in answer ? answer.error : `${ended}\n${stderr}`.trim()));
    });
  });
}

function unproved(reason: string): IlrError {
  return new IlrError(
    'ILR_NOT_SET_UP',
    `The addon was built but does not work: ${reason}\n` +
      "Try a LibTorch of ilr-native's own with `npx ilr-native setup --force --own`, or name another one with --libtorch <folder>.",
  );
}
