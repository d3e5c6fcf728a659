import {Random, type StreamKey} from '../random.js';
import type {Agent} from '../types.js';

/** A peer's solution as its reader sees it. `agent` is recorded, never shown. */
export interface PeerIdea {
  readonly agent: number;
  readonly text: string;
}

export interface Fit {
  readonly peers: readonly PeerIdea[];
  /** A text was cut to leave room in the context. */
  readonly isCut: boolean;
}

/** All agents but the reader (`key.agent`), in an order drawn from the seed: a place says nothing of who wrote it. */
export function peerOrder(numAgents: number, key: Omit<StreamKey, 'purpose'> & {readonly agent: number}): number[] {
  const others = Array.from({length: numAgents}, (_, agent) => agent).filter((agent) => agent !== key.agent);
  return new Random({...key, purpose: 'peers'}).shuffle(others);
}

/**
Cuts the peers' texts, each to the same number of the reader's tokens, until its prompt has room.

@param excessOf - tokens that a prompt with these peers has too many; at most 0: it fits.
@returns undefined where not even empty texts fit.
*/
export function fitPeers(
  reader: Agent,
  peers: readonly PeerIdea[],
  excessOf: (peers: readonly PeerIdea[]) => number,
): Fit | undefined {
  let excess = excessOf(peers);
  if (excess <= 0) return {peers, isCut: false};
  const ids = peers.map((peer) => reader.text.encode(peer.text));
  let share = Math.max(...ids.map((peer) => peer.length));
  while (excess > 0 && share > 0) {
    share = Math.max(0, share - Math.max(1, Math.ceil(excess / ids.length)));
    const shorter = peers.map((peer, i) => cutTo(reader, peer, ids[i] as Int32Array, share));
    excess = excessOf(shorter);
    if (excess <= 0) return {peers: shorter, isCut: true};
  }
  return undefined;
}

function cutTo(reader: Agent, peer: PeerIdea, ids: Int32Array, share: number): PeerIdea {
  return ids.length <= share ? peer : {...peer, text: reader.text.decode(ids.subarray(0, share))};
}
