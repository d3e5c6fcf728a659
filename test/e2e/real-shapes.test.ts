import test from 'ava';
import type {StepMetrics} from '../../src/types.js';
import {folderWith} from '../helpers/folder.js';
import {sharedPath} from '../helpers/shared.js';

const shared = sharedPath('.');
const script = new URL('../../../scripts/real-shapes.mjs', import.meta.url).href;

(shared === undefined ? test.skip : test)(
  'two agents of SmolLM2-135M’s widths take two ILR steps on GSM8K questions (needs ../shared)',
  async (t) => {
    t.timeout(300_000);
    const output = await folderWith(t);
    const {realShapes} = await import(script);
    // 12 of the 30 layers: the whole shape takes more than the 4 GB that tests may. It throws unless gradients are finite and not zero, no update is skipped and the saved weights have moved.
    const metrics: StepMetrics[] = await realShapes({
      shared,
      output,
      questions: 2,
      newTokens: 8,
      groupSize: 4,
      layers: 12,
    });
    t.deepEqual(
      metrics.map(({step}) => step),
      [1, 2],
    );
    for (const step of metrics) {
      for (const name of ['a', 'b']) t.true((step[`${name}/sampler/max_abs_diff`] as number) < 1e-4);
    }
  },
);
