// How long the event loop is held up while C++ works: the delay of a 10 ms timer, beside the same timer at rest.
//   node bench/event-loop.mjs [--out bench/results/event-loop.json]
import {NativePolicy} from '../dist/src/native/native-policy.js';
import {NativeRuntime} from '../dist/src/native/runtime.js';
import {generateRequest, models, trainingBatch} from './models.mjs';
import {report} from './report.mjs';

const period = 10;

/** Delays in ms of a timer that is set anew each time, until `work` ends. */
async function delaysDuring(work) {
  const delays = [];
  let expected = performance.now() + period;
  let timer = setTimeout(tick, period);
  function tick() {
    delays.push(performance.now() - expected);
    expected = performance.now() + period;
    timer = setTimeout(tick, period);
  }
  await work();
  clearTimeout(timer);
  delays.sort((a, b) => a - b);
  const at = (share) => Number((delays[Math.floor(share * (delays.length - 1))] ?? 0).toFixed(2));
  return {timers: delays.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1)};
}

async function repeat(seconds, call) {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) await call();
}

const runtime = await NativeRuntime.open({threads: 1});
const policy = await NativePolicy.create(models.qwen2, {runtime, seed: 1});
const onToken = () => {};
const generate = async () => {
  for await (const _ of policy.generate({...generateRequest(), onToken}));
};
const update = () => policy.update(trainingBatch(), {loss: 'dapo', learningRate: 1e-5});
await generate();
await update();
report('event-loop.mjs', {
  timerMs: period,
  idle: await delaysDuring(() => new Promise((resolve) => setTimeout(resolve, 3000))),
  generate: await delaysDuring(() => repeat(5, generate)),
  update: await delaysDuring(() => repeat(5, update)),
});
await runtime.dispose();
