import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {hashFile, hashSources} from '../../src/native/hash.js';
import {type SetupState, writeState} from '../../src/native/state.js';
import {fakeLibtorch, writeFiles} from './libtorch.js';

/** A folder that looks like this package after a set-up: the addon is a text file, but everything the record says is true. */
export async function builtPackage(folder: string): Promise<{root: string; build: string; state: SetupState}> {
  const root = path.join(folder, 'package');
  const build = path.join(root, 'native', 'build');
  await writeFiles(root, {
    'package.json': JSON.stringify({name: 'ilr-native', version: '1.2.3'}),
    'CMakeLists.txt': 'project(x)',
    'native/core/a.cpp': 'int a;',
    'native/addon/b.cpp': 'int b;',
    'native/loader/c.c': 'int c;',
    'native/cuda/d.cu': 'int d;',
    'native/build/ilr.node': 'addon',
    'native/build/ilr_loader.node': 'loader',
  });
  await mkdir(path.join(folder, 'cache'), {recursive: true});
  const [file, loader] = [path.join(build, 'ilr.node'), path.join(build, 'ilr_loader.node')];
  const state: SetupState = {
    format: 1,
    packageVersion: '1.2.3',
    libtorch: {
      folder: await fakeLibtorch(path.join(folder, 'torch'), '2.13.0+cpu'),
      version: '2.13.0+cpu',
      variant: 'cpu',
      hasCuda: false,
      source: 'python',
    },
    compiler: 'g++ 12.2.0',
    addon: {
      file,
      sha256: hashFile(file),
      loader,
      loaderSha256: hashFile(loader),
      sourcesSha256: hashSources(root),
    },
    node: 'v20.19.0',
    finishedAt: '2026-01-01T00:00:00.000Z',
  };
  writeState(build, state);
  return {root, build, state};
}
