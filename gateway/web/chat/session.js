// The protocol of one socket after another, as a pure state machine: no DOM, no socket, no clock. Frames go in, effects
// come out, in the order in which they are to be carried out. It owns the one vector that a client keeps, and thereby
// the promise that nothing is missed and nothing told twice.
//
//   {apply: frame}    change the model by it, then call `processed(frame)`
//   {load: vector}    load the inbox as of there, then call `loaded()`: until then frames wait
//   {answer: frame}   an `ack` or `error` for the request with that id
//   {live: true}      what was missed has been told; the outbox may go
import { format, parse, raise } from "./vector.js";

const TOLD = new Set(["welcome", "live", "reset", "pong", "ack", "error"]);

export class Session {
  /** Where it goes on, if it has been somewhere: `{epoch, vector}` as `kept()` gave it. */
  constructor(kept) {
    this.epoch = kept?.epoch ?? null;
    this.vector = parse(kept?.vector);
    this.isLoaded = Boolean(kept);
    this.held = [];
    this.heartbeat = 25;
  }

  /** What to keep together with the model; null while that is not whole. */
  kept() {
    return this.isLoaded ? { epoch: this.epoch, vector: format(this.vector) } : null;
  }

  /** The first frame of a new socket. */
  hello(token) {
    this.held = [];
    const resume = this.isLoaded ? { resume: format(this.vector), epoch: this.epoch } : {};
    return { type: "hello", token, ...resume };
  }

  /** What a frame makes necessary. */
  handle(frame) {
    if (frame.type === "ack" || frame.type === "error") return [{ answer: frame }];
    if (frame.type === "welcome") {
      this.heartbeat = frame.heartbeat_s;
      this.epoch = frame.epoch;
      return this.isLoaded ? [] : this.#begin(frame.vector);
    }
    if (frame.type === "reset") {
      this.isLoaded = false;
      return this.#begin(frame.vector);
    }
    if (!this.isLoaded) {
      this.held.push(frame);
      return [];
    }
    return this.#tell(frame);
  }

  /** The inbox is there: what came meanwhile comes after it. */
  loaded() {
    this.isLoaded = true;
    return this.held.splice(0).flatMap((frame) => this.#tell(frame));
  }

  /** The model has it: only now does the vector say so. */
  processed(frame) {
    if (frame.position) raise(this.vector, frame.position);
  }

  /** When and how to come back after a socket has ended; `attempt` counts those in a row that never went live. */
  after(code, reason, attempt, random) {
    if (code === 4401) return { wait: attempt > 1 ? 2_000 : 0, renew: true };
    // Who did nothing for long, or has too many others open, comes back when somebody looks.
    if (code === 1000 || code === 4409) return { sleep: true };
    const asked = code === 1012 ? Number(/after (\d+) ms/.exec(reason)?.[1] ?? NaN) : NaN;
    return { wait: Number.isNaN(asked) ? random * Math.min(15_000, 500 * 2 ** attempt) : asked };
  }

  #begin(vector) {
    this.vector = parse(vector);
    this.held = [];
    return [{ load: vector }];
  }

  #tell(frame) {
    if (!TOLD.has(frame.type)) return [{ apply: frame }];
    // Everything up to there has been sent, hence processed: frames come in order.
    if (frame.type === "live" || frame.type === "pong") this.vector = parse(frame.vector);
    return frame.type === "live" ? [{ live: true }] : [];
  }
}
