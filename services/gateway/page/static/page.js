// Keeps an open page up to date, and shows what a tried text is without leaving it. Everything else works without this.
const main = document.getElementById("main");
const AGAIN_MS = 30_000; // also without news: runs go on without changing the status

// Makes `from` equal to `to` and leaves alone what is equal already: focus, selection, open details and what a screen
// reader has said stay as they are.
function morph(from, to) {
  if (from.nodeName !== to.nodeName || from.id !== to.id) {
    from.replaceWith(to.cloneNode(true));
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (from.hasAttribute("data-keep")) return;
  const stays = (name) => name === "open" && from.nodeName === "DETAILS";
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !stays(name)) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !stays(name)) from.setAttribute(name, value);
  }
  let at = from.firstChild;
  for (const child of [...to.childNodes]) {
    const same = child.id ? [...from.children].find(({ id }) => id === child.id) : null;
    const old = same ?? (at?.id ? null : at); // what has an id waits for its own
    if (!old) {
      from.insertBefore(child.cloneNode(true), at);
    } else {
      if (old === at) at = at.nextSibling;
      else from.insertBefore(old, at);
      morph(old, child);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

async function load(address, options = {}) {
  const response = await fetch(address, { credentials: "same-origin", ...options });
  if (response.redirected) location.reload(); // the session has ended, so this leads to the login
  if (response.redirected || !response.headers.get("content-type")?.startsWith("text/html")) return null;
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

let loading = false;
async function refresh() {
  if (loading) return;
  loading = true;
  try {
    const fresh = (await load(location.href))?.getElementById("main");
    if (fresh?.dataset.events === main.dataset.events) morph(main, fresh);
  } catch {
    // The server is away for a moment. What is shown stays, and the next event or the timer tries again.
  } finally {
    loading = false;
  }
}

function watch() {
  let source = null;
  const open = () => {
    source?.close();
    source = document.hidden ? null : new EventSource(main.dataset.events); // hidden pages would use up connections
    source?.addEventListener("message", ({ data }) => data !== main.dataset.mark && refresh());
  };
  document.addEventListener("visibilitychange", open);
  window.addEventListener("pagehide", () => source?.close());
  setInterval(() => {
    if (document.hidden) return;
    refresh();
    if (source?.readyState === EventSource.CLOSED) open();
  }, AGAIN_MS);
  open();
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-inline]");
  if (!form) return;
  event.preventDefault();
  form.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = (await load(form.action, { method: "POST", body }))?.getElementById(form.dataset.inline);
    const shown = document.getElementById(form.dataset.inline)?.querySelector("[role=status]");
    const result = answer?.querySelector("[role=status]");
    if (!result || !shown) throw new Error("no result");
    shown.replaceChildren(...result.childNodes);
  } catch {
    form.submit(); // the whole page says what went wrong
  } finally {
    form.removeAttribute("aria-busy");
  }
});

if (main.dataset.events) watch();
