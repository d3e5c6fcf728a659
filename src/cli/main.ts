import {Command, CommanderError} from 'commander';
import {IlrError} from '../errors.js';
import {packageRoot, packageVersion} from '../native/paths.js';
import {print} from './terminal.js';

interface CommandModule {
  register(program: Command): void;
}

// Each command is imported only when it runs: `doctor` must work where half of the package does not.
const commands: Readonly<Record<string, string>> = {
  setup: 'find or get LibTorch and build the native addon; does nothing when that is done',
  doctor: 'say what is here, what is missing and the command that mends it',
  demo: 'two tiny agents, made from a seed, learn together on the CPU',
  estimate: 'say how much memory a run needs, before anything is loaded',
  train: 'train agents as a YAML file says',
  eval: 'measure models on benchmarks and question files: pass@1, pass@k, maj@k; alone, in debate, in dialogue',
  data: 'say what data sets and question files hold, and which questions two of them share',
  pull: 'download a model or a data set of the Hugging Face Hub',
  report: 'write the page of a training run',
  sample: 'let a model answer one prompt',
  grade: 'grade answers: JSON lines in, JSON lines out',
};

const help = `
Start here:
  $ ilr-native setup                        once; a minute or two
  $ ilr-native demo                         two tiny agents learn together, in minutes, on the CPU
  $ ilr-native train config.yaml            your own models and questions
  $ ilr-native train config.yaml --resume   go on after Ctrl-C or a crash

\`ilr-native <command> --help\` tells a command's options. Where something does not work: \`ilr-native doctor\`.
Environment: ILR_LIBTORCH (a LibTorch or Python torch folder), ILR_CACHE (where LibTorch and what is pulled are kept),
ILR_DATA (a folder of data sets), ILR_DEBUG=1 (stack traces).`;

/** Runs one command line and returns the exit code; errors are printed. */
export async function main(args: readonly string[]): Promise<number> {
  process.stdout.on('error', endWhenReaderIsGone);
  try {
    const program = await createProgram(args);
    if (args.length === 0) program.help();
    await program.parseAsync(args, {from: 'user'});
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return report(error);
  }
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('ilr-native')
    .description(
      'Trains language models to reason better alone by letting them learn together (ILR, arXiv 2509.26306).',
    )
    .version(packageVersion(packageRoot()))
    .addHelpText('after', help)
    .showHelpAfterError('(ilr-native --help tells the commands)')
    .configureOutput({
      writeOut: (text) => print(process.stdout, text),
      writeErr: (text) => print(process.stderr, text),
    })
    .exitOverride();
  const words = args.filter((arg) => !arg.startsWith('-'));
  const name = words[0] === 'help' ? words[1] : words[0];
  for (const [command, description] of Object.entries(commands)) {
    if (command === name) ((await import(`./${command}.js`)) as CommandModule).register(program);
    else program.command(command).description(description);
  }
  for (const command of program.commands) teach(command, `ilr-native ${command.name()}`);
  return program;
}

/** After an error, a command points at its own help. */
function teach(command: Command, line: string): void {
  command
    .exitOverride()
    .showHelpAfterError(`(${line} --help tells ${command.commands.length > 0 ? 'the commands' : 'its options'})`);
  for (const below of command.commands) teach(below, `${line} ${below.name()}`);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode; // it has printed itself
  if (IlrError.is(error)) {
    print(process.stderr, `error: ${error.message}\n`);
    if (process.env.ILR_DEBUG) print(process.stderr, `${error.code} ${error.stack}\n`);
    return 1;
  }
  const {message, stack} = error instanceof Error ? error : new Error(String(error));
  print(process.stderr, `error: unexpected: ${message}\n`);
  print(
    process.stderr,
    process.env.ILR_DEBUG ? `${stack}\n` : 'Run again with ILR_DEBUG=1 for the stack trace, and please report it.\n',
  );
  return 1;
}

function endWhenReaderIsGone(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}
