import {openAddon} from './open-addon.js';
import type {ProofMessage} from './prove-addon.js';

// Run by proveAddon in a process of its own, with an IPC channel.
const [file = '', loader = '', libtorch = '', kernels = '', device = 'cpu'] = process.argv.slice(2);

function prove(): ProofMessage {
  try {
    const addon = openAddon({file, loader, libtorch, kernels}, device === 'cuda') as {
      selfTest(): {torch: string; threads: number; sum: number};
    };
    return {proof: addon.selfTest()};
  } catch (error) {
    return {error: (error as Error).message};
  }
}

// The answer is on its way before the process ends.
process.send?.(prove(), () => process.exit(0));
