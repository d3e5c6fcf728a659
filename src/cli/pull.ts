import {createHash} from 'node:crypto';
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {Command} from 'commander';
import {cacheFolder, datasetsFolder, type Env} from '../cache.js';
import {benchmarkNames, findBenchmark, isBenchmark} from '../data/benchmarks.js';
import {IlrError} from '../errors.js';
import {defaultLimits} from '../hub/limits.js';
import {pulledFolder} from '../hub/local.js';
import type {PullOptions} from '../hub/options.js';
import {type PullResult, pull} from '../hub/pull.js';
import {parseRepository, repositoryName} from '../hub/repository.js';
import {readHubSettings} from '../hub/settings.js';
import {withIo} from '../io.js';
import {withLock} from '../native/lock.js';
import {packageRoot, packageVersion} from '../native/paths.js';
import {commandLine} from './command-line.js';
import {interruptedExitCode, interruptSignals, isInterruption} from './interrupt.js';
import {collect, positive} from './options.js';
import {bytesText, PullProgress} from './pull-progress.js';
import {jsonText, print} from './terminal.js';

interface PullArguments {
  readonly revision?: string;
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly folder?: string;
  readonly jobs: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

const help = `
Examples:
  $ ilr-native pull Qwen/Qwen2.5-0.5B-Instruct     then in a configuration: model: Qwen/Qwen2.5-0.5B-Instruct
  $ ilr-native pull gsm8k                          a data set that is known by name
  $ ilr-native pull datasets/openai/gsm8k --include 'socratic/*' --folder data/socratic

Known data sets: ${benchmarkNames.join(', ')}.
Of a model come its settings, tokenizer and safetensors; of a data set JSON lines, JSON, CSV and Parquet; --include takes other files in their
place (* is any text, / too). Every file is checked against the checksum that the hub lists. After Ctrl-C, a crash or a full disk the same
command goes on where it ended. Without --folder it all goes to $ILR_CACHE, else ~/.cache/ilr-native, where other commands look.
Environment: HF_TOKEN or the token of \`hf auth login\` (gated and private repositories), HF_ENDPOINT (another hub), HF_HUB_OFFLINE=1 (only
check what is there), HTTPS_PROXY, HTTP_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS.`;

export function register(program: Command): void {
  program
    .command('pull')
    .description('Download a model or a data set of the Hugging Face Hub, or go on with a download.')
    .argument('<what>', 'owner/name of a model, datasets/owner/name, or the name of a known data set')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--include <glob>', 'only files like this; may be repeated', collect)
    .option('--exclude <glob>', 'no files like this; may be repeated', collect)
    .option('--folder <folder>', "where the files go (default: ilr-native's cache)")
    .option('--jobs <count>', 'files at the same time', positive, defaultLimits.jobs)
    .option('--force', 'write over files that were not pulled')
    .option('--json', 'print the result as JSON; progress goes to stderr')
    .addHelpText('after', help)
    .action(pullCommand);
}

async function pullCommand(what: string, options: PullArguments): Promise<void> {
  const wanted = wantedOf(what, options, process.env);
  const settings = await readHubSettings(process.env);
  const interrupt = interruptSignals();
  const progress = new PullProgress(options.json ? process.stderr : process.stdout, repositoryName(wanted.repository));
  try {
    const work = () =>
      pull({
        ...wanted,
        settings,
        exclude: options.exclude,
        force: options.force,
        limits: {jobs: options.jobs},
        userAgent: `ilr-native/${packageVersion(packageRoot())}`,
        signal: interrupt.first,
        onEvent: progress.onEvent,
      });
    const onWait = (pid: number) => progress.line(`Waiting for process ${pid}, which writes to ${wanted.folder}.`);
    const lock = lockFile(wanted.folder, process.env);
    await withIo('creating', path.dirname(lock), () => mkdir(path.dirname(lock), {recursive: true}));
    const result = await withLock(lock, onWait, work, interrupt.first);
    progress.finish();
    if (options.json) print(process.stdout, `${jsonText(result, 2)}\n`);
    else progress.line(`${summary(result)}\n${nextStep(wanted, result)}`);
  } catch (error) {
    const again = commandLine(['ilr-native', ...process.argv.slice(2)]);
    if (!isInterruption(error, interrupt.first)) throw progress.hasBegun ? withNextStep(error, again) : error;
    process.exitCode = interruptedExitCode;
    progress.line(`Stopped; what was downloaded is kept. To go on: ${again}`);
  } finally {
    progress.finish();
    interrupt.dispose();
  }
}

/** A full disk, a server or a network that fails: the same command goes on. */
function withNextStep(error: unknown, again: string): unknown {
  if (!IlrError.is(error) || error.code !== 'ILR_IO') return error;
  return new IlrError(error.code, `${error.message}\nWhat is there is kept. To go on: ${again}`, {
    cause: error,
  });
}

interface Wanted extends Pick<PullOptions, 'repository' | 'folder' | 'include' | 'revision'> {
  /** A data set that is known by name. */
  readonly benchmark?: string;
  /** Where other commands look for it by its name. */
  readonly isFound: boolean;
}

/** What a name stands for, and where it goes. */
export function wantedOf(what: string, {revision, include, folder}: Partial<PullArguments>, env: Env): Wanted {
  const isFound = folder === undefined;
  if (!what.includes('/') && isBenchmark(what)) {
    const {name, hub} = findBenchmark(what);
    return {
      repository: parseRepository(`datasets/${hub.repo}`),
      folder: folder ?? path.join(datasetsFolder(env), name),
      include: include ?? hub.files,
      revision: revision ?? hub.revision,
      benchmark: name,
      isFound,
    };
  }
  try {
    const repository = parseRepository(what);
    return {repository, folder: folder ?? pulledFolder(repository, env), include, revision, isFound};
  } catch (error) {
    if (!IlrError.is(error)) throw error;
    throw new IlrError(
      error.code,
      `${error.message}, nor is it one of the known data sets: ${benchmarkNames.join(', ')}`,
    );
  }
}

/** Not in the folder itself: that is made only when there is something to put in it. */
function lockFile(folder: string, env: Env): string {
  const key = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 16);
  return path.join(cacheFolder(env), 'locks', `pull-${key}.lock`);
}

function summary({commit, folder, files, bytes, receivedBytes, removed, ...repository}: PullResult): string {
  const fetched = files.every(({state}) => state === 'kept')
    ? 'nothing to download'
    : `${bytesText(receivedBytes)} downloaded`;
  const count = `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytesText(bytes)}`;
  const lines = [
    `${repositoryName(repository)} (commit ${commit.slice(0, 12)}) is in ${folder}: ${count}, checked; ${fetched}.`,
  ];
  if (removed.length > 0) lines.push(`Removed, for this commit does not have them: ${removed.join(', ')}.`);
  return lines.join('\n');
}

function nextStep({benchmark, isFound}: Wanted, {kind, id, folder, files}: PullResult): string {
  if (benchmark !== undefined && isFound)
    return `To use it: ilr-native eval <model> --benchmarks ${benchmark}, or in a configuration data.train or data.test: ${benchmark}`;
  if (benchmark !== undefined && path.basename(folder) === benchmark)
    return `To use it: in a configuration data.folder: ${path.dirname(folder)} and data.train or data.test: ${benchmark}`;
  if (kind === 'dataset') {
    const file = files.find(({path: name}) => /\.(?:jsonl|json|csv|tsv|parquet)(?:\.gz)?$/i.test(name));
    return `To use it, name a file of it, as in data.train: ${path.join(folder, file?.path ?? '')}`;
  }
  const model = isFound ? id : folder;
  return `To try it: ${commandLine(['ilr-native', 'sample', model, 'What is 2 + 2?'])}\nIn a configuration: agents: [{name: …, model: ${model}}, …]`;
}
