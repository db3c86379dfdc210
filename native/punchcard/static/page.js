// Updates what has changed on a page, and follows a log. Every page works without it.
"use strict";

const LOG_LINES = 5000;
const LOG_CHARACTERS = 2000000;

const announcement = document.getElementById("announcement");

// Replaces the parts of the page that differ in a newer copy of it. Returns false if no newer copy will come.
async function refresh(source) {
  const response = await fetch(source, { headers: { Accept: "text/html" } });
  if (response.redirected) {
    // The session has ended.
    location.reload();
    return false;
  }
  if (!response.ok) return response.status >= 500;
  const copy = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = copy.querySelector(`[data-live="${part.dataset.live}"]`);
    if (newer) replace(part, newer);
  }
  return true;
}

function replace(part, newer) {
  const state = newer.dataset.state;
  if (state && state !== part.dataset.state) {
    announcement.textContent = `The job is now ${state.toLowerCase()}.`;
  }
  Object.assign(part.dataset, newer.dataset);
  // The key of a form is new in each copy.
  const key = part.querySelector("input[name=key]");
  if (key) newer.querySelector("input[name=key]")?.setAttribute("value", key.value);
  const opened = [...part.querySelectorAll("details[open]")].map((details) => details.id);
  for (const id of opened) newer.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  if (part.innerHTML === newer.innerHTML) return;
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const place = focused && path(part, focused);
  part.replaceChildren(...newer.childNodes);
  if (focused) (follow(part, place, focused.tagName) ?? document.getElementById("title"))?.focus();
}

// The place of an element below another, as the positions of its ancestors among their siblings.
function path(root, element) {
  const places = [];
  for (let node = element; node !== root; node = node.parentElement) {
    places.unshift([...node.parentElement.children].indexOf(node));
  }
  return places;
}

function follow(root, places, tag) {
  const found = places.reduce((node, place) => node?.children[place], root);
  return found?.tagName === tag ? found : null;
}

// Calls `open` while the page is seen and `close` while it is not: browsers bound the connections to a server.
function whileSeen(open, close) {
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
}

function list(part) {
  let timer = null;
  const look = async () => {
    try {
      if (!(await refresh(part.dataset.source))) stop();
    } catch {
      // The server may come back.
    }
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
  };
  const start = () => {
    timer ??= setInterval(look, part.dataset.every * 1000);
  };
  whileSeen(start, stop);
}

function job(element) {
  const api = `/api/v1/jobs/${element.dataset.job}`;
  const source = `/jobs/${element.dataset.job}?live=1`;
  let seq = Number(element.dataset.seq);
  let stream = null;
  let ended = "final" in element.dataset;
  let timer = null;

  // Events come in groups.
  const soon = () => {
    timer ??= setTimeout(async () => {
      timer = null;
      try {
        await refresh(source);
      } catch {
        soon();
      }
    }, 400);
  };
  const close = () => {
    stream?.close();
    stream = null;
  };
  const open = () => {
    if (ended || stream) return;
    stream = new EventSource(`${api}/events/stream?after=${seq}`);
    for (const kind of ["state", "fit", "progress", "epoch", "result"]) {
      stream.addEventListener(kind, (event) => {
        seq = Number(event.lastEventId) || seq;
        soon();
      });
    }
    stream.addEventListener("end", () => {
      ended = true;
      close();
      soon();
    });
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) {
        close();
        soon();
      }
    });
  };
  whileSeen(open, close);
  log(document.getElementById("log"), api, ended);
}

function log(view, api, final) {
  const pause = document.getElementById("pause");
  const state = document.getElementById("log-state");
  let { offset, attempt } = view.dataset;
  let paused = false;
  let ended = final;
  let stream = null;
  // The pieces of text, oldest first.
  let pieces = [];

  const lines = (text) => text.split("\n").length - 1;
  const drop = () => {
    const sum = (value) => pieces.reduce((total, piece) => total + value(piece), 0);
    let count = sum((piece) => piece.lines);
    let characters = sum((piece) => piece.node.length);
    while (
      pieces.length > 1 &&
      (count - pieces[0].lines >= LOG_LINES || characters > LOG_CHARACTERS)
    ) {
      const piece = pieces.shift();
      count -= piece.lines;
      characters -= piece.node.length;
      piece.node.remove();
    }
  };
  const add = (text) => {
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 24;
    document.getElementById("log-empty")?.remove();
    view.hidden = false;
    const node = document.createTextNode(text);
    view.append(node);
    pieces.push({ node, lines: lines(text) });
    drop();
    if (atEnd) view.scrollTop = view.scrollHeight;
  };
  // The log of a new attempt starts again.
  const start = (number) => {
    if (number === attempt) return;
    attempt = number;
    offset = 0;
    pieces = [];
    view.replaceChildren();
  };
  const show = () => {
    pause.hidden = ended;
    pause.textContent = paused ? "Resume" : "Pause";
    pause.setAttribute("aria-label", paused ? "Resume the log" : "Pause the log");
    state.textContent = ended ? "" : paused ? "Paused" : "Following";
  };
  const close = () => {
    stream?.close();
    stream = null;
  };
  const open = () => {
    if (ended || paused || stream) return;
    start(document.querySelector("[data-live=state]").dataset.attempt);
    stream = new EventSource(`${api}/log/stream?offset=${offset}`);
    stream.addEventListener("log", (event) => {
      const message = JSON.parse(event.data);
      start(String(message.attempt));
      // The id is the attempt and the offset.
      offset = event.lastEventId.split(":")[1];
      add(message.text);
    });
    stream.addEventListener("end", () => {
      ended = true;
      close();
      show();
    });
    stream.addEventListener("error", () => {
      if (stream?.readyState === EventSource.CLOSED) {
        close();
        state.textContent = "Disconnected; reload the page";
      }
    });
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    if (paused) close();
    else open();
    show();
  });
  const first = view.firstChild;
  if (first) pieces.push({ node: first, lines: lines(first.data) });
  view.scrollTop = view.scrollHeight;
  show();
  whileSeen(open, close);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    announcement.textContent = "The token is copied.";
  });
}

// One open question at a time; Escape closes it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const details of document.querySelectorAll("details.confirm[open]")) {
    details.open = false;
    details.querySelector("summary").focus();
  }
});

const jobElement = document.querySelector("[data-job]");
const listElement = document.querySelector("[data-every]");
if (jobElement) job(jobElement);
if (listElement) list(listElement);
