import {type Command, Option} from 'commander';
import {type SetupDevice, type SetupResult, setUp, sourceWords} from '../native/setup.js';
import {createSetupReport} from './setup-progress.js';
import {jsonText, print, Screen} from './terminal.js';

interface Options {
  readonly device: SetupDevice;
  readonly libtorch?: string;
  readonly own?: boolean;
  readonly force?: boolean;
  readonly tests?: boolean;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command('setup')
    .description('find or get LibTorch and build the native addon; does nothing when that is done')
    .option('--libtorch <folder>', 'use this LibTorch folder or Python torch folder (also: ILR_LIBTORCH)')
    .addOption(
      new Option(
        '--device <device>',
        "cuda: get a LibTorch with CUDA and build the GPU's kernels; auto: where there is a GPU",
      )
        .choices(['auto', 'cpu', 'cuda'])
        .default('auto'),
    )
    .option('--own', "pass an installed Python's torch over: use the one in ilr-native's cache, or get it")
    .option('--force', 'build and prove again even where nothing has changed')
    .option('--tests', 'also build the C++ tests and tools')
    .option('--json', 'print the result as JSON; progress goes to stderr')
    .addHelpText(
      'after',
      `
LibTorch 2.11 to 2.15 is looked for in this order: --libtorch, ILR_LIBTORCH, the last set-up, an installed Python's torch
(used in place), ilr-native's cache; else pip gets torch 2.13.0 into the cache (about 530 MB; for a GPU 2 GB, with NVIDIA's
packages). Nothing else is downloaded but cmake, ninja and, for a GPU, nvcc, by pip, where the system has none. Needs g++ 11
or later.`,
    )
    .action(async (options: Options) => {
      const {tests: withTests, json, ...rest} = options;
      const screen = new Screen(json ? process.stderr : process.stdout);
      const result = await setUp({...rest, withTests, report: createSetupReport(screen)});
      screen.clear();
      if (json) print(process.stdout, `${jsonText(result, 2)}\n`);
      else screen.line(describe(result));
    });
}

function describe({changed, state}: SetupResult): string {
  const {version, source} = state.libtorch;
  const gpu = state.addon.kernels ? ", with the GPU's kernels" : '';
  const ready = `the addon is built on LibTorch ${version} (${sourceWords[source]})${gpu}`;
  return changed ? `Ready: ${ready}.` : `Nothing to do: ${ready}.`;
}
