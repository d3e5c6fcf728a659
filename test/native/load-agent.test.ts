import test from 'ava';
import {loadAgent} from '../../src/cli/agents.js';
import {folderWith} from '../helpers/folder.js';
import {cpuRuntime} from '../helpers/native.js';
import {writeTinyRun} from '../helpers/tiny-run.js';

test('loadAgent opens an agent as a configuration describes it: dtype, adapter, optimiser', async (t) => {
  const {agents} = await writeTinyRun(await folderWith(t));
  const runtime = await cpuRuntime();
  const plain = await loadAgent(`${agents}/ann`, {runtime});
  const {dtype, parameters, trainedParameters} = plain.policy.info();
  t.deepEqual([dtype, trainedParameters], ['float32', parameters]);

  const adapted = await loadAgent(`${agents}/ann`, {
    runtime,
    adapter: {rank: 2, targetModules: ['q_proj']},
    reference: true,
  });
  const info = adapted.policy.info();
  t.is(info.adapter?.rank, 2);
  t.true(info.trainedParameters > 0 && info.trainedParameters < parameters / 10);
  t.is(adapted.reference?.info().trainedParameters, 0);

  const lean = await loadAgent(`${agents}/ann`, {
    runtime,
    dtype: 'bfloat16',
    optimizer: {kind: 'lean', moments: 'int8'},
  });
  t.is(lean.policy.info().dtype, 'bfloat16');
  t.true(lean.policy.info().optimizerBytes < plain.policy.info().optimizerBytes);
  for (const agent of [plain, adapted, lean]) await agent.close();
});
