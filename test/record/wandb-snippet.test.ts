import {spawnSync} from 'node:child_process';
import {appendFile, mkdir, mkdtemp, readFile, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {StepFiles} from '../../src/record/step-files.js';

/** Stands in for the wandb package: writes down what it is told. */
const standIn = `
import json
class Run:
    told = []
    def log(self, data, step): self.told.append([step, {key: repr(value) for key, value in data.items()}])
    def finish(self): print(json.dumps(self.told))
def init(project, name): return Run()
`;

const hasPython = spawnSync('python3', ['--version']).status === 0;

(hasPython ? test : test.skip)(
  'the Python of docs/output.md logs every whole line (skipped without python3)',
  async (t) => {
    const page = await readFile(new URL('../../../docs/output.md', import.meta.url), 'utf8');
    const snippet = /```python\n([\s\S]*?)```/.exec(page)?.[1] as string;
    const folder = await mkdtemp(path.join(tmpdir(), 'ilr-wandb-'));
    const run = path.join(folder, 'runs', 'ilr');
    await mkdir(run, {recursive: true});
    let seconds = 0;
    const now = () => 1000 * seconds++;
    const files = await StepFiles.open({folder: run, record: {tensorboard: false, wandb: true}, known: {}, now});
    await files.append({step: 0, 'ann/loss': 0.5});
    await files.append({step: 1, 'ann/loss': Number.NaN, max: Number.NEGATIVE_INFINITY});
    await files.close();
    await appendFile(path.join(run, 'wandb-history.jsonl'), '{"_step":2,"ann/lo');
    await writeFile(path.join(folder, 'wandb.py'), standIn);
    await writeFile(path.join(folder, 'send.py'), snippet);
    const {stdout, stderr} = spawnSync('python3', ['send.py'], {cwd: folder, encoding: 'utf8'});
    t.is(stderr, '');
    t.deepEqual(JSON.parse(stdout), [
      [0, {_timestamp: '1.0', _runtime: '1.0', 'ann/loss': '0.5'}],
      [1, {_timestamp: '2.0', _runtime: '2.0', 'ann/loss': 'nan', max: '-inf'}],
    ]);
  },
);
