import test from 'ava';
import {shortNames} from '../../src/cli/eval-models.js';

test('a model is called by its folder, with as much of the path as tells it from the others', (t) => {
  t.deepEqual(shortNames(['/m/qwen']), ['qwen']);
  t.deepEqual(shortNames(['/m/start/qwen', '/m/start/llama', '/m/final/qwen']), ['start/qwen', 'llama', 'final/qwen']);
  t.deepEqual(shortNames(['/a/x/final/q', '/b/x/final/q']), ['a/x/final/q', 'b/x/final/q']);
  t.deepEqual(shortNames(['/q', '/a/q']), ['/q', 'a/q']);
});
