// The socket and its timers around the pure session: opens it, comes back, keeps its token fresh, and notices when the
// other side has gone silent. Decides nothing about what frames mean.

const SILENCE = 12_000;
const LOOK = 5_000;

export class Connection {
  /** `host` carries out effects: `{apply(frame), load(vector), live(), state(word), signedOut()}`. */
  constructor(api, session, host) {
    Object.assign(this, { api, session, host, socket: null, waiting: new Map(), attempt: 0, isLive: false });
    this.lifetime = new AbortController();
    const on = (target, event, act) => target.addEventListener(event, act, { signal: this.lifetime.signal });
    on(window, "online", () => this.open());
    on(window, "offline", () => this.#lost(1006, ""));
    on(document, "visibilitychange", () => document.hidden || this.look());
    for (const event of ["pointerdown", "keydown"]) on(window, event, () => this.isAsleep && this.open());
    this.looking = setInterval(() => this.look(), LOOK);
  }

  /** Opens the socket now, unless it is open. */
  async open() {
    if (this.lifetime.signal.aborted || this.socket || this.isOpening) return;
    clearTimeout(this.timer);
    Object.assign(this, { isOpening: true, isAsleep: false });
    this.host.state("connecting");
    const token = await this.api.fresh(this.mustRenew).catch(() => undefined);
    this.isOpening = false;
    if (token === undefined) return this.#again(this.session.after(1006, "", this.attempt++, Math.random()));
    Object.assign(this, { token, mustRenew: false });
    if (this.lifetime.signal.aborted || !this.token) return;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/socket`, "herald.v1");
    Object.assign(this, { socket, heard: Date.now() });
    socket.onopen = () => this.say(this.session.hello(this.token));
    socket.onmessage = ({ data }) => this.socket === socket && this.#hear(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.socket === socket && this.#lost(code, reason);
  }

  close() {
    this.lifetime.abort();
    clearInterval(this.looking);
    clearTimeout(this.timer);
    this.socket?.close();
    this.#reject();
  }

  /** Says something that is not answered; lost where there is no socket. */
  say(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  /** Asks for something; rejects with the problem, or with null where the answer never came. */
  request(frame) {
    if (!this.isLive) return Promise.reject(null);
    const id = crypto.getRandomValues(new Uint32Array(2)).join("-");
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.say({ ...frame, id });
    });
  }

  /** Whether the other side lives, and the token lasts. Browsers hide the server's pings from pages. */
  async look() {
    if (!this.socket) return this.isAsleep || this.timer ? undefined : this.open();
    const silent = Date.now() - this.heard;
    if (silent > this.session.heartbeat * 1000 + SILENCE) return this.#lost(1006, "");
    if (silent > (this.session.heartbeat * 1000) / 2) this.say({ type: "ping" });
    const token = this.isLive && (await this.api.fresh().catch(() => null));
    if (token && token !== this.token) this.say({ type: "refresh", token: (this.token = token) });
  }

  #hear(frame) {
    this.heard = Date.now();
    this.#carryOut(this.session.handle(frame));
  }

  #carryOut(effects) {
    for (const effect of effects) {
      if (effect.apply) {
        this.host.apply(effect.apply);
        this.session.processed(effect.apply);
      } else if (effect.answer) {
        const { id, problem, ...answer } = effect.answer;
        const asked = this.waiting.get(id);
        this.waiting.delete(id);
        if (problem) asked?.reject(problem);
        else asked?.resolve(answer);
      } else if (effect.load) {
        this.#load(effect.load, this.socket);
      } else if (effect.live) {
        this.attempt = 0;
        this.isLive = true;
        this.host.state("live");
        this.host.live();
      }
    }
  }

  async #load(vector, socket) {
    try {
      await this.host.load(vector);
      if (this.socket === socket) this.#carryOut(this.session.loaded());
    } catch {
      if (this.socket === socket) this.#lost(1006, "");
    }
  }

  #lost(code, reason) {
    const { socket } = this;
    Object.assign(this, { socket: null, isLive: false });
    socket?.close();
    this.#reject();
    this.#again(this.session.after(code, reason, this.attempt++, Math.random()));
  }

  #again({ wait, renew, sleep }) {
    this.host.state(navigator.onLine ? "connecting" : "offline");
    clearTimeout(this.timer);
    this.mustRenew ||= Boolean(renew);
    this.isAsleep = Boolean(sleep);
    if (sleep) return this.host.state("asleep");
    this.timer = setTimeout(() => ((this.timer = null), this.open()), wait);
  }

  #reject() {
    for (const { reject } of this.waiting.values()) reject(null);
    this.waiting.clear();
  }
}
