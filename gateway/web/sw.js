// Keeps the page's own files, so that it opens without a network. They are asked for first and kept as they came: their
// ETags make that cheap, and a new version of Herald is there with the next reload. Nothing of /v1 passes through here.
const SHELL = "shell";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(keepAll().then(() => clients.claim())));

addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  const isOurs = origin === location.origin && event.request.method === "GET" && /^\/(chat\/.+|chat\.css|icon\.svg)?$/.test(pathname);
  if (isOurs) event.respondWith(answer(event.request));
});

const answer = async (request) => {
  const cache = await caches.open(SHELL);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
};

/** What a page has loaded before this worker was there. */
const keepAll = async () => {
  const cache = await caches.open(SHELL);
  const modules = "api app client composer connection dialog dom group inbox mentions message model outbox people search session settings signin store thread timeline vector";
  const paths = ["/", "/chat.css", "/icon.svg", ...modules.split(" ").map((name) => `/chat/${name}.js`)];
  await Promise.all(paths.map(async (path) => cache.put(path, await fetch(path))));
};
