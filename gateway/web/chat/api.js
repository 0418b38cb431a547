// REST: requests with a token that lasts, problems as errors, and the vector by which one reads what one has written.
//
// Tokens lie in localStorage, so that they outlive a reload and all tabs share them. A page's scripts can read them
// there: the policy of this page admits no script but its own files, and no message ever becomes HTML. A cookie that
// scripts cannot read would be stronger, and needs a server that keeps sessions by cookie and sees to forged requests.
import { format, raise } from "./vector.js";

const KEY = "herald.tokens";
/** Milliseconds that a token has to last to be used. */
const MARGIN = 60_000;

/** What the server refused (RFC 9457), or, with status 0, that it was not reached. */
export class Problem extends Error {
  constructor({ type = "", title = "", status = 0, detail = "", errors = [], retry_after = 0 }) {
    super(errors.length > 0 ? errors.map((one) => `${one.field} ${one.detail}`).join("; ") : detail || title);
    Object.assign(this, { kind: type.replace("urn:herald:", ""), status, errors, retryAfter: retry_after });
  }

  static offline() {
    return new Problem({ title: "The server cannot be reached. You may be offline." });
  }
}

/** Runs one at a time among all tabs. Pages that came over plain HTTP from elsewhere have no locks, and go without. */
export const exclusively = (name, act) => (navigator.locks ? navigator.locks.request(name, act) : act());

export class Api {
  constructor(onSignedOut) {
    this.onSignedOut = onSignedOut;
    this.seen = new Map();
    addEventListener("storage", ({ key, newValue }) => key === KEY && !newValue && this.onSignedOut());
  }

  get tokens() {
    return JSON.parse(localStorage.getItem(KEY));
  }

  async signUp(body) {
    this.#keep((await this.#ask("POST", "/v1/signup", { body })).tokens);
  }

  async logIn(body) {
    this.#keep(await this.#ask("POST", "/v1/login", { body }));
  }

  /** Forgets the tokens; the server is told if it can be. */
  async logOut() {
    await this.call("POST", "/v1/logout").catch(() => {});
    this.#forget();
  }

  /** An access token that lasts a while; null where there is no session any more. */
  async fresh(mustRenew = false) {
    const held = this.tokens;
    if (!held || (!mustRenew && held.expires_at - Date.now() > MARGIN)) return held?.access_token ?? null;
    return exclusively("herald-tokens", async () => {
      const now = this.tokens;
      // Another tab was faster.
      if (!now || now.refresh_token !== held.refresh_token) return now?.access_token ?? null;
      try {
        return this.#keep(await this.#ask("POST", "/v1/token", { body: { refresh_token: now.refresh_token } }));
      } catch (problem) {
        if (problem.status !== 401) throw problem;
        this.#forget();
        return null;
      }
    });
  }

  /** Asks as whoever is signed in; reads see all that was written before. */
  async call(method, path, { body, bytes, headers, isFile } = {}) {
    for (let renew = false; ; renew = true) {
      const token = await this.fresh(renew);
      if (!token) throw new Problem({ status: 401, title: "You are signed out." });
      const after = method === "GET" && this.seen.size > 0 ? { "Herald-After": format(this.seen) } : {};
      const all = { Authorization: `Bearer ${token}`, ...after, ...headers };
      try {
        return await this.#ask(method, path, { body, bytes, headers: all, isFile });
      } catch (problem) {
        if (problem.kind === "invalid-position") this.seen.clear();
        if ((problem.kind !== "unauthorized" && problem.kind !== "invalid-position") || renew) throw problem;
      }
    }
  }

  get = (path) => this.call("GET", path);

  /** All pages of a list, as far as `most` reaches. */
  async all(path, field, most = 2_000) {
    const found = [];
    for (let cursor = ""; cursor !== null && found.length < most; ) {
      const query = `${path.includes("?") ? "&" : "?"}limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
      const page = await this.get(path + query);
      found.push(...page[field]);
      cursor = page.next;
    }
    return found;
  }

  upload(file) {
    const name = encodeURIComponent(file.name || "file").replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
    const headers = { "Content-Disposition": `attachment; filename*=UTF-8''${name}`, "Content-Type": "application/octet-stream" };
    return this.call("POST", "/v1/attachments", { bytes: file, headers });
  }

  async #ask(method, path, { body, bytes, headers, isFile } = {}) {
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    const init = { method, headers: { ...json, ...headers }, body: bytes ?? (body && JSON.stringify(body)) };
    const response = await fetch(path, init).catch(() => {
      throw Problem.offline();
    });
    const type = response.headers.get("Content-Type") ?? "";
    if (!response.ok) {
      throw new Problem(type.includes("json") ? await response.json() : { status: response.status, title: response.statusText });
    }
    for (const header of ["Herald-Position", "Herald-As-Of"]) raise(this.seen, response.headers.get(header));
    if (response.status === 204) return null;
    return !isFile && type.startsWith("application/json") ? response.json() : response.blob();
  }

  #keep({ user_id, session_id, access_token, refresh_token, expires_in }) {
    localStorage.setItem(KEY, JSON.stringify({ user_id, session_id, access_token, refresh_token, expires_at: Date.now() + expires_in * 1000 }));
    return access_token;
  }

  #forget() {
    localStorage.removeItem(KEY);
    this.onSignedOut();
  }
}
